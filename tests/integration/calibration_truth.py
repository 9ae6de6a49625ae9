#!/usr/bin/python3
"""How well calibration tables and corrected data agree with the truth of a simulated tile.

    calibration_truth.py TRUTH.json TABLE... [--ms X.ms] [--interp linear|nearest]

Prints one JSON object. Tables are read with python3-casacore; nothing of the product takes part.

  delay_ns              rms and worst error of K against the straight line that fits the true phase over the band best
  delay_line_ns         the same against the simulated cable delay alone (the ripple of the bandpass has a slope too)
  delay_chi2            mean square error of K against the line in units of its PARAMERR
  amplitude_chi2        of the product K B G per antenna, receptor, channel and interval in units of PARAMERR; noise that
                        B and G of one tile both saw is counted once
  phase_chi2            likewise, a common phase of all antennas taken out
  relative_error        rms of |product/truth - 1|, the same phase taken out
  flux_scale            what the tables make of a source of 1 Jy: 1/|g|^2 of the estimate over that of the truth
  unflagged_dead        usable solutions of stations without signal; must be 0
  flagged_living        fraction of flagged cells of stations with signal
  corrected_chi2        mean |CORRECTED_DATA - MODEL_DATA|^2 over unflagged cross-correlations in units of the noise
  corrected_median_chi2 from the median instead (blind to a few outliers)

A table's gain is V = g_p M conj(g_q) in the Measurement Set, which conjugates the file: the truth's own convention.
"""
import argparse
import json

import numpy as np
from casacore.tables import table


def read_table(path):
    with table(path, ack=False) as main, table(path + "/ANTENNA", ack=False) as antenna, \
            table(path + "/SPECTRAL_WINDOW", ack=False) as window:
        kind = main.info()["subType"].strip()[0]
        values = main.getcol("FPARAM" if kind == "K" else "CPARAM").astype(np.complex128)
        flags, errors = main.getcol("FLAG"), main.getcol("PARAMERR").astype(float)
        times = np.unique(main.getcol("TIME"))
        names = list(antenna.getcol("NAME"))
        n_windows = window.nrows()
        shape = (len(times), n_windows, len(names))
        # [time][window][antenna][channel][receptor]: the row order of the format
        assert main.nrows() == np.prod(shape)
        return {"kind": kind, "times": times, "names": names, "reference_hz": window.getcol("REF_FREQUENCY"),
                "frequency": [window.getcell("CHAN_FREQ", w) for w in range(n_windows)],
                "width": [window.getcell("TOTAL_BANDWIDTH", w) for w in range(n_windows)],
                "length": main.getcol("INTERVAL").reshape(shape)[:, 0, 0],
                "value": np.ma.array(values.reshape(shape + values.shape[1:]),
                                     mask=flags.reshape(shape + flags.shape[1:])),
                "error": errors.reshape(shape + errors.shape[1:])}


class Truth:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            truth = json.load(file)
        self.stations = [str(s) for s in truth["ants"]]
        self.dead = {str(s) for s in truth["dead_stations"]}
        self.sigma = truth["sigma_jy"]
        gains = truth["gains"]
        self.times = np.array(gains["time_mjd"]) * 86400
        self.gain = np.array(gains["gain"]) @ [1, 1j]  # [time][antenna][receptor]
        self.delay = np.array(gains["delay_ns"])
        self.frequency = np.array(gains["frequency_hz"])
        bandpass = np.array(gains["bandpass"]) @ [1, 1j]  # [antenna][receptor][channel]
        turns = self.delay[:, :, None] * 1e-9 * (self.frequency - gains["reference_hz"])
        self.band = bandpass * np.exp(2j * np.pi * turns)
        ripple = np.unwrap(np.angle(bandpass), axis=2)
        x = 2 * np.pi * 1e-9 * (self.frequency - self.frequency.mean())
        self.line_delay = self.delay + (ripple * x).sum(axis=2) / (x * x).sum()

    def channels(self, frequency):
        return np.array([np.argmin(np.abs(self.frequency - f)) for f in frequency])


def pick(t, truth):
    """Positions in a table of the truth's antennas that have signal."""
    return np.array([t["names"].index(s) for s in truth.stations if s not in truth.dead])


def delay_figures(k, truth, living):
    columns = pick(k, truth)
    value, error = k["value"][0, 0][columns][:, 0, :], k["error"][0, 0][columns][:, 0, :]
    figures = {}
    for name, wanted in (("delay_ns", truth.line_delay), ("delay_line_ns", truth.delay)):
        difference = value.real - wanted[living]
        # Delays are free by a constant per receptor: the mean over antennas is the fairest one to take out.
        difference = difference - difference.mean(axis=0)
        figures[name] = {"rms": float(np.sqrt((difference**2).mean())), "worst": float(np.abs(difference).max())}
        if name == "delay_ns":
            n = value.count(axis=0).mean()
            figures["delay_chi2"] = float(((difference / error) ** 2).mean() * n / (n - 1))
            figures["delay_error_ns"] = float(np.ma.median(np.ma.array(error, mask=np.ma.getmaskarray(value))))
    return figures


def at_time(t, time, interp):
    """Value and error of a table at a time: nearest interval, or amplitude and phase between two."""
    times = t["times"]
    after = int(np.searchsorted(times, time, side="right"))
    if after in (0, len(times)) or interp == "nearest":
        i = int(np.argmin(np.abs(times - time)))
        return t["value"][i], t["error"][i]
    share = (time - times[after - 1]) / (times[after] - times[after - 1])
    a, b = t["value"][after - 1], t["value"][after]
    amplitude = (1 - share) * np.abs(a) + share * np.abs(b)
    value = amplitude * np.exp(1j * (np.angle(a) + share * np.angle(b * np.conj(a))))
    error = np.sqrt(((1 - share) * t["error"][after - 1]) ** 2 + (share * t["error"][after]) ** 2)
    return value, error


def gain_figures(tables, truth, living, interp):
    gain = next((t for t in tables if t["kind"] == "G"), tables[0])
    amplitude, phase, relative, scale = [], [], [], []
    flagged = cells = 0
    # G is solved with B applied. On B's own tile what noise did to B and G is not independent: over the T intervals of a
    # window the errors of G sum up to minus the mean error of B there, and var(B G) = var B + var G (1 - 1/T).
    band_pass = next((t for t in tables if t["kind"] == "B"), None)
    same_tile = (band_pass is not None and gain["kind"] == "G" and len(band_pass["times"]) == 1 and
                 np.all(np.abs(gain["times"] - band_pass["times"][0]) < band_pass["length"][0] / 2))
    new_share = 1 - 1 / len(gain["times"]) if same_tile else 1.0
    for i, middle in enumerate(gain["times"]):
        inside = np.abs(truth.times - middle) < gain["length"][i] / 2
        # At the middle of an interval interpolation has no part: the interval's own value against the truth's mean.
        true_gain = truth.gain[inside].mean(axis=0)
        for w in range(len(gain["reference_hz"])):
            half = gain["width"][w] / 2
            frequency = truth.frequency[np.abs(truth.frequency - np.mean(gain["frequency"][w])) < half]
            product, variance = 1.0, 0.0
            for t in tables:
                value, error = at_time(t, middle, interp)
                value, error = value[w][pick(t, truth)], error[w][pick(t, truth)]
                if t["kind"] == "K":
                    turns = value.real * 1e-9 * (frequency[None, :, None] - t["reference_hz"][w])
                    value = np.ma.exp(2j * np.pi * turns)
                else:
                    share = new_share if t is gain else 1.0
                    variance = variance + share * np.ma.array(error / np.abs(value)) ** 2
                product = product * value
            band = truth.band[living].transpose(0, 2, 1)[:, truth.channels(frequency)]
            ratio = product / (true_gain[living][:, None, :] * band)
            common = ratio.mean(axis=0)
            turned = ratio * np.conj(common / np.abs(common))
            n = ratio.count(axis=0)
            sigma = np.ma.sqrt(variance)
            keep = n > 2
            amplitude.append((((np.abs(ratio) - 1) / sigma) ** 2)[:, keep].compressed())
            angle = np.ma.arctan2(turned.imag, turned.real)
            phase.append(((angle / sigma) ** 2 * (n / (n - 1.0)))[:, keep].compressed())
            relative.append(np.abs(turned - 1)[:, keep].compressed() ** 2)
            scale.append(np.abs(ratio)[:, keep].compressed())
            flagged += np.ma.getmaskarray(ratio).sum()
            cells += ratio.size
    amplitude, phase, relative, scale = (np.concatenate(x) for x in (amplitude, phase, relative, scale))
    return {"amplitude_chi2": float(amplitude.mean()), "phase_chi2": float(phase.mean()),
            "relative_error": float(np.sqrt(relative.mean())),
            "flux_scale": float(np.exp(-2 * np.log(scale).mean())), "solutions": int(amplitude.size),
            "flagged_living": float(flagged / cells)}


def corrected_figures(path, truth):
    squares, parts, n = 0.0, [], 0
    with table(path, ack=False) as ms:
        step = 65536
        for start in range(0, ms.nrows(), step):
            take = {"startrow": start, "nrow": min(step, ms.nrows() - start)}
            a1, a2 = ms.getcol("ANTENNA1", **take), ms.getcol("ANTENNA2", **take)
            use = ~ms.getcol("FLAG", **take) & (a1 != a2)[:, None, None]
            residual = ms.getcol("CORRECTED_DATA", **take)[use] - ms.getcol("MODEL_DATA", **take)[use]
            square = (residual.real.astype(float) ** 2 + residual.imag.astype(float) ** 2) / (2 * truth.sigma**2)
            squares += square.sum()
            n += square.size
            parts.append(square[:: max(1, square.size // 2000)])
    # The median of an exponential distribution of mean 1 is ln 2.
    return {"corrected_chi2": float(squares / n), "corrected_samples": n,
            "corrected_median_chi2": float(np.median(np.concatenate(parts)) / np.log(2))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("truth")
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--ms")
    parser.add_argument("--interp", default="linear")
    args = parser.parse_args()
    truth = Truth(args.truth)
    living = np.array([i for i, s in enumerate(truth.stations) if s not in truth.dead])
    tables = [read_table(path) for path in args.tables]
    figures = {"antennas": len(truth.stations), "dead": len(truth.dead), "unflagged_dead": 0}
    for t in tables:
        dead = [t["names"].index(s) for s in sorted(truth.dead)]
        if dead:
            figures["unflagged_dead"] += int((~np.ma.getmaskarray(t["value"])[:, :, dead]).sum())
        if t["kind"] == "K":
            figures.update(delay_figures(t, truth, living))
    figures.update(gain_figures(tables, truth, living, args.interp))
    if args.ms:
        figures.update(corrected_figures(args.ms, truth))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
