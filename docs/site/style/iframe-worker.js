// Search where the site is read as files: a browser starts no Worker there. This one runs in a hidden frame instead, and
// says and hears the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html><title>search</title>";
      this.begun = new Promise((resolve, reject) => {
        this.frame.onload = () => {
          const inside = this.frame.contentWindow;
          inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          const element = inside.document.createElement("script");
          Object.assign(element, { src: script, onload: () => resolve(inside), onerror: reject });
          inside.document.head.append(element);
        };
      });
      document.body.append(this.frame);
    }

    postMessage(data) {
      this.begun.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
