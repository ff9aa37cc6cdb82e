# voxface serve, for a box that others reach: no root, and nothing that it writes. See docs/serve.md.
#
#   docker build -t voxface .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 8765:8765 \
#     -e VOXFACE_TOKEN -v "$PWD/tls:/tls:ro" voxface --certificate /tls/cert.pem --key /tls/key.pem
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
COPY pyproject.toml README.md LICENSE /source/
COPY requirements/serve.lock /source/requirements/
COPY src /source/src
RUN python -m venv /opt/voxface \
 && /opt/voxface/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement /source/requirements/serve.lock \
 && /opt/voxface/bin/pip install --no-cache-dir --no-deps --no-build-isolation /source \
 && /opt/voxface/bin/python -m compileall -q /opt/voxface/lib

FROM python:${PYTHON}-slim
COPY --from=build /opt/voxface /opt/voxface
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin voxface
USER 10001:10001
WORKDIR /
ENV PYTHONDONTWRITEBYTECODE=1 HOME=/nonexistent
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/opt/voxface/bin/python", "-m", "voxface.serve.health_check"]
# It listens for others, and so does not start without a token and TLS, or --insecure.
ENTRYPOINT ["/opt/voxface/bin/voxface", "serve", "--host", "0.0.0.0", "--port", "8765"]
