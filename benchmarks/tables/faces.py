"""Tables of the population of faces, of face models, and of faces fitted to landmarks."""

from collections.abc import Callable
from typing import Any, Final

from benchmarks.record import load
from benchmarks.tables.cells import percent


def faces() -> str:
    """The embedded model's population beside the surveys."""
    statistics = load("faces")["measured"]["statistics"]
    lines = [
        "| mm, mean ± sd | women | published | men | published | source |",
        "|---|---|---|---|---|---|",
    ]
    for name in statistics["female"]["measures"]:
        rows = [statistics[sex]["measures"][name] for sex in ("female", "male")]
        cells = []
        for row in rows:
            cells.append(f"{row['mean_mm']:.1f} ± {row['sd_mm']:.2f}")
            known = "survey" in row
            cells.append(f"{row['survey_mean_mm']:.1f} ± {row['survey_sd_mm']:.2f}" if known else "–")
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} | {rows[0].get('survey', '–')} |")
    return "\n".join(lines)


def faces_fit() -> str:
    """Distance of the population from ANSUR II, and the part that 40 modes leave out."""
    measured = load("faces")["measured"]
    rows = [
        row
        for sex in measured["statistics"].values()
        for row in sex["measures"].values()
        if row.get("survey") == "ANSUR II"
    ]
    mean = max(abs(row["mean_mm"] - row["survey_mean_mm"]) for row in rows)
    deviation = max(abs(row["sd_mm"] / row["survey_sd_mm"] - 1) for row in rows)
    correlation = max(sex["largest_correlation_error"] for sex in measured["statistics"].values())
    left = measured["projection"]
    lost = {name: share for sex in left["sd_lost"].values() for name, share in sex.items()}
    worst = max(lost, key=lambda name: max(sex[name] for sex in left["sd_lost"].values()))
    shares = [sex[worst] for sex in left["sd_lost"].values()]
    return (
        f"Largest errors against ANSUR II over both sexes: mean {mean:.2f} mm, standard deviation {percent(deviation)}, "
        f"correlation {correlation:.3f}.\n\n"
        f"The population before the PCA has {left['directions'][0]} directions a sex. "
        f"{measured['model']['identity_modes']} modes keep {percent(left['variance_kept'])} of its variance and leave out "
        f"{left['left_out_rms_mm']:.2f} mm RMS of {left['whole_rms_mm']:.2f}; the measure that loses most is "
        f"{worst.replace('_', ' ')}, {percent(shares[0])} of its standard deviation in women and {percent(shares[1])} in "
        "men. The last step gives the loss in the measures back within the modes; the table is measured after it."
    )


def faces_intersections() -> str:
    """Number of faces that pass through themselves."""
    counts = load("faces")["measured"]["intersections"]
    lines = ["| faces of 1,000 with an intersection | lids and eyeballs | upper and lower lip | ears and skull |"]
    lines.append("|---|---|---|---|")
    for key, name in (("neutral", "neutral"), ("with_expressions", "every expression drawn, standard deviation 0.35")):
        row = counts[key]
        lines.append(f"| {name} | {row['lids']} | {row['lips']} | {row['ears']} |")
    full = counts["each_expression_at_full_strength"].values()
    lines.append(
        f"| the mean face with each of the {len(full)} expressions at full strength (of {len(full)}) | "
        + " | ".join(str(sum(row[kind] > 0 for row in full)) for kind in ("lids", "lips", "ears"))
        + " |"
    )
    return "\n".join(lines)


def faces_ict() -> str:
    """The spread of the 68 landmarks beside ICT-FaceKit's."""
    measured = load("faces")["measured"]["ict"]
    lines = [
        "| 68 landmarks, mm RMS about their mean | all | jaw | brows | nose | eyes | mouth | first 1 / 5 / 10 modes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, how in (("rigid", "turned and shifted"), ("one_size", "also brought to one size")):
        for key, name in (("ours", "embedded"), ("ict", f"ICT-FaceKit, {measured['ict_modes']} modes")):
            row = measured[kind][key]
            cells = [f"{row[part]:.1f}" for part in ("rms_mm", "jaw", "brows", "nose", "eyes", "mouth")]
            shares = " / ".join(f"{100 * row['share_of_first_modes'][k]:.0f} %" for k in ("1", "5", "10"))
            lines.append(f"| {name}, {how} | {' | '.join(cells)} | {shares} |")
    return "\n".join(lines)


def head_depth() -> str:
    """Where landmarks of the mean woman and man lie in depth, beside the published places."""
    measured = load("head_depth")["measured"]["depths"]
    lines = [
        "| mm in front of the sellion | mean woman | published | mean man | published | source |",
        "|---|---|---|---|---|---|",
    ]
    for name, woman in measured["female"]["places"].items():
        rows = (woman, measured["male"]["places"][name])
        cells = [f"{row[key]:.1f}" for row in rows for key in ("forward_mm", "published_forward_mm")]
        lines.append(f"| {name} | {' | '.join(cells)} | {woman['source']} |")
    sexes = measured.values()
    for name in measured["female"]["lengths_mm"]:
        cells = [f"{sex[key][name]:.1f}" for sex in sexes for key in ("lengths_mm", "published_lengths_mm")]
        lines.append(f"| {name.replace('_', ' ')} (a length) | {' | '.join(cells)} | NIOSH, not verified |")
    return "\n".join(lines)


def head_depth_checks() -> str:
    """The distance to a scan, the agreement with ANSUR II, and the modes beside ICT-FaceKit's."""
    measured = load("head_depth")["measured"]
    scan, ansur, modes = measured["scan"], measured["ansur_ii"], measured["modes"]
    touching = sum(measured["intersections"]["neutral"][kind] for kind in ("lids", "lips", "ears"))
    shares = {
        name: " / ".join(f"{100 * share[k]:.0f} %" for k in ("1", "5", "10"))
        for name, share in modes["share_of_first_modes"].items()
    }
    other = modes["variance_of_one_in_first_directions_of_other"]
    return (
        f"Median distance of one real scan to the mean face: {scan['ours']['median_mm']:.2f} mm; to ICT-FaceKit's mean face "
        f"{scan['ict']['median_mm']:.2f} mm. Median distance of ICT-FaceKit's mean face to ours: "
        f"{measured['ict_mean_to_ours']['median_mm']:.2f} mm. Largest errors against ANSUR II: mean "
        f"{ansur['mean_mm']:.2f} mm, standard deviation {percent(ansur['sd_share'])}, correlation "
        f"{ansur['correlation']:.3f}. Of 1,000 neutral faces {touching} pass through themselves.\n\n"
        f"Modes at the 68 landmarks, at one size: {modes['symmetric_rms_mm']['ours']:.1f} mm RMS (ICT "
        f"{modes['symmetric_rms_mm']['ict']:.1f}); the first 1 / 5 / 10 have {shares['ours']} of the variance (ICT "
        f"{shares['ict']}). The first ten directions of ICT explain {100 * other['ours in ict']['10']:.0f} % of this model's "
        f"variance, and its own first ten {100 * other['ict in ours']['10']:.0f} % of ICT's."
    )


def head_depth_regions() -> str:
    """Median distances by region: the scan to both mean faces, and ICT-FaceKit's mean face to ours."""
    measured = load("head_depth")["measured"]
    scan = measured["scan"]
    columns = [part["median_mm_by_region"] for part in (scan["ours"], scan["ict"], measured["ict_mean_to_ours"])]
    lines = [
        "| median, mm | scan to this mean face | scan to ICT's | ICT's mean face to this one |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {' | '.join(f'{column[name]:.2f}' for column in columns)} |" for name in columns[0]]
    return "\n".join(lines)


def head_depth_modes() -> str:
    """Shares of the variance of the first ten modes of both models, and the principal angles between them."""
    modes = load("head_depth")["measured"]["modes"]
    rows = {
        "share of the variance, embedded": [f"{100 * share:.0f} %" for share in modes["share_of_each_mode"]["ours"]],
        "share of the variance, ICT-FaceKit": [f"{100 * share:.0f} %" for share in modes["share_of_each_mode"]["ict"]],
        "principal angle": [f"{angle:.0f}°" for angle in modes["principal_angles_deg_of_first_10"]],
    }
    lines = ["| mode | " + " | ".join(str(k + 1) for k in range(10)) + " |", "|---" * 11 + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def fitting() -> str:
    """Errors of fits to 68 landmarks of known faces, and fits a second."""
    document = load("fitting")
    measured, machine = document["measured"], document["machine"]

    def cell(row: dict[str, Any]) -> str:
        low, high = row["mm_95"]
        return f"{row['mm']:.2f} ({low:.2f} – {high:.2f})" if row["mm"] >= 0.005 else "< 0.01"

    lines = [
        "| median vertex error, mm | determined directions (by half) | in the determined span | pose removed | size kept | "
        "mean face, pose removed | mean face, size kept | yaw, pitch, roll off by, ° | not converged |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, model in measured["models"].items():
        for noise, row in model["rows"].items():
            known, half = row["determined_directions"], row["half_determined_directions"]
            kinds = ("pose_removed", "size_kept", "mean_face_pose_removed", "mean_face_size_kept")
            cells = [
                f"{name}, {noise}",
                f"{known['p50']:.0f} ({half:.0f}) of {known['of']}",
                cell(row["determined_span"]) if known["p50"] else "–",
                *(cell(row[kind]) for kind in kinds),
                ", ".join(f"{angle:.2f}" for angle in row["angle_deg"].values()),
                f"{row['not_converged']} of {row['faces']}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| faces a second, 1 px | batched, two threads | batched, one thread | one call a face |",
        "|---|---|---|---|",
    ]
    rounds = 0
    for name, row in measured["speed"].items():
        rounds = row["rounds"]
        ways = ("batched_two_threads", "batched_one_thread", "one_call_a_face")
        rates = [f"{row['faces_per_s'][way]['p50']:.0f}" for way in ways]
        lines.append(f"| {name} | {' | '.join(rates)} |")
    load_before = measured["load_average_before"]
    lines += [
        "",
        f"{machine['cores']} cores of {machine['cpu']}; medians of {rounds} rounds, taking turns. Load average of the machine "
        f"before it began: {load_before:.1f}" + ("; others took part of both cores." if load_before > 0.5 else "."),
    ]
    return "\n".join(lines)


def ict_import() -> str:
    """The import of ICT-FaceKit."""
    row = load("ict_import")["measured"]
    mean = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in row["mean_face_mm"].items())
    ratios = ", ".join(f"{name} {value:.3f}" for name, value in row["are_anatomical"].items())
    return (
        f"{row['vertices']:,} vertices, {row['triangles']:,} triangles, {row['identity_modes']} + "
        f"{row['expression_modes']} modes. Vertices of {row['faces_compared']} random faces equal the weighted OBJ files "
        f"to {row['largest_difference_from_weighted_obj_mm']:.1e} mm before the modes are stored in half precision. "
        f"Mean face, mm: {mean}; anatomical ARE ratios: {ratios}. From the default bundle's model, "
        f"{100 * row['identity_explained']:.0f} % of the landmark movement of its identity modes is followed; the two "
        f"models place landmarks of the mean face {row['placement_uncertainty_mm']:.1f} mm apart per coordinate. "
        f"The bundle has {row['bundle_bytes'] / 1e6:.1f} MB."
    )


def photographs() -> str:
    """Landmarks of photographs, what is alike in their errors, and a scan fitted from its marks."""
    measured = load("photographs")["measured"]
    lines = ["| landmarks of a network | median error, inner 51 | all 68 |", "|---|---|---|"]
    for name, row in measured["landmarks"].items():
        lines.append(f"| {name} | {percent(row['inner'])} | {percent(row['median'])} |")
    lines += ["", "| face detector, the photograph in a grey picture | faces found | false boxes |", "|---|---|---|"]
    for wider, row in measured["detector"].items():
        where = "the photograph alone" if wider == "1" else f"{wider} times as wide"
        lines.append(f"| {where} | {row['found']} of {measured['faces']} | {row['false']} |")
    lines += [
        "",
        "| beside the mean face | RMS along an axis | of its variance the same in every face |",
        "|---|---|---|",
    ]
    for name, row in measured["beside_the_mean_face"].items():
        lines.append(f"| {name} | {percent(row['rms'])} | {percent(row['alike'])} |")
    lines += [
        "",
        "| a scan, fitted from its marks | median distance from three sides, mm | all three together | coefficients, sd |",
        "|---|---|---|---|",
    ]
    for model, scan in measured["scan"].items():
        lines.append(f"| {model}: mean face | {scan['mean_face_mm']:.2f} | – | 0 |")
        told = {f"noise of {float(noise):.0%} of the eye distance": row for noise, row in scan["told"].items()}
        for name, row in {**told, "noise estimated": scan["estimated"]}.items():
            each = ", ".join(f"{value:.2f}" for value in row["each_mm"])
            lines.append(f"| {model}: {name} | {each} | {row['all_mm']:.2f} | {row['coefficients_sd']:.2f} |")
    both = measured["together"]
    lines += [
        "",
        f"{measured['faces']} photographs; shares are of the distance between the outer eye corners. Without what a turn, a "
        f"shift and a scale explain, the network is off by {percent(both['rms'])} along an axis, and along the first ten "
        f"modes its errors have {both['variance_ratio']:.1f} times the variance of independent ones.",
    ]
    return "\n".join(lines)


def expert_photographs() -> str:
    """An expert of our own on photographs and on renders."""
    measured = load("expert_photographs")["measured"]
    lines = ["| landmarks off by, inner 51, median | our expert | the mean face from the front |", "|---|---|---|"]
    for side, count in measured["faces"].items():
        cells = [percent(measured[side][what]["median"]) for what in ("expert", "mean face")]
        lines.append(f"| {count} {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "faces": faces,
    "faces-fit": faces_fit,
    "faces-intersections": faces_intersections,
    "faces-ict": faces_ict,
    "head-depth": head_depth,
    "head-depth-checks": head_depth_checks,
    "head-depth-regions": head_depth_regions,
    "head-depth-modes": head_depth_modes,
    "fitting": fitting,
    "photographs": photographs,
    "expert-photographs": expert_photographs,
    "ict-import": ict_import,
}
