/**
 * The recurrence of LSTM, GRU and SimpleRNN over all time steps, forward and backward, as native/simd_recurrence.h has
 * it: the same equations and parts of the record, with the sums of this module's products.
 *
 * Gates of an LSTM are i, f, g (the candidate) and o; those of a GRU are z, r and the candidate, whose columns of the
 * recurrent kernel are panels of their own, because they multiply r * state.
 */

import { multiply } from './matrix';
import { activate, loadPart, slope, storePart } from './vectors';

const LSTM: i32 = 0;
const GRU: i32 = 1;

/** Parts of the record, each [samples, steps, units]; see native/recurrence.h. */
const HIDDEN: i32 = 0;
const PREVIOUS: i32 = 1;
const FIRST: i32 = 2;
const RESET: i32 = 5;
const CARRY: i32 = 6;
const CARRY_OUT: i32 = 7;

/** The options and arguments of a call, written by src/worker/kernels/wasm/recurrence.ts. An address of 0 stands for none. */
@unmanaged
class Call {
  kind: i32 = 0;
  activation: i32 = 0;
  recurrentActivation: i32 = 0;
  backwards: i32 = 0;
  samples: i32 = 0;
  steps: i32 = 0;
  units: i32 = 0;
  /** See RecurrenceInputs in native/recurrence.h. */
  projected: usize = 0;
  bias: usize = 0;
  mask: usize = 0;
  dropout: usize = 0;
  initial: usize = 0;
  /** The recurrent kernel without a GRU's candidate, whose columns are in the second matrix; transposed in the backward pass. */
  panels: usize = 0;
  candidatePanels: usize = 0;
  table: usize = 0;
  /** Room for (5 + joint) * samples * units floats. */
  scratch: usize = 0;
  /** Parts of [samples, steps, units] */
  record: usize = 0;
  /** Gradients of the hidden states. */
  ofHidden: usize = 0;
  /** Receives the gradient of `projected`. */
  dProjected: usize = 0;
  /** [states, samples, units]: the gradients of the last states, which those of the initial states replace. */
  dInitial: usize = 0;

  get gates(): i32 {
    return this.kind == LSTM ? 4 : this.kind == GRU ? 3 : 1;
  }
  get joint(): i32 {
    return this.kind == GRU ? 2 : this.gates;
  }
  @inline
  timeOf(step: i32): i32 {
    return this.backwards ? this.steps - 1 - step : step;
  }
  /** Address of a row of `width` values per sample and time step. */
  @inline
  rowAt(values: usize, sample: i32, time: i32, width: i32): usize {
    return values + (sample * this.steps + time) * width * 4;
  }
  /** Address of a row of a part of the record. */
  @inline
  saved(part: i32, sample: i32, time: i32): usize {
    return this.rowAt(
      this.record + part * this.samples * this.steps * this.units * 4,
      sample,
      time,
      this.units,
    );
  }
  @inline
  isMasked(sample: i32, time: i32): boolean {
    return this.mask != 0 && f32.load(this.rowAt(this.mask, sample, time, 1)) == 0;
  }
  @inline
  dropped(value: v128, sample: i32, j: i32): v128 {
    if (this.dropout == 0) return value;
    return f32x4.mul(value, loadPart(this.dropout + (sample * this.units + j) * 4, this.units - j));
  }
  /** x + product + bias of one gate, at unit j. */
  @inline
  sumOf(x: usize, gate: i32, j: i32, product: v128): v128 {
    const at = (gate * this.units + j) * 4;
    const sum = f32x4.add(loadPart(x + at, this.units - j), product);
    return this.bias != 0 ? f32x4.add(sum, loadPart(this.bias + at, this.units - j)) : sum;
  }
}

/** Writes the record. */
export function recurrenceForward(c: Call): void {
  const samples = c.samples;
  const units = c.units;
  const joint = c.joint;
  const kind = c.kind;
  const stateBytes = samples * units * 4;
  const hidden = c.scratch;
  const carry = hidden + stateBytes;
  const previous = carry + stateBytes;
  const reset = previous + stateBytes;
  const candidates = reset + stateBytes;
  const products = candidates + stateBytes;
  memory.fill(hidden, 0, 2 * stateBytes);
  if (c.initial != 0) memory.copy(hidden, c.initial, kind == LSTM ? 2 * stateBytes : stateBytes);
  for (let step = 0; step < c.steps; step++) {
    const time = c.timeOf(step);
    for (let s = 0; s < samples; s++)
      for (let j = 0; j < units; j += 4) {
        const at = (s * units + j) * 4;
        const value = c.dropped(loadPart(hidden + at, units - j), s, j);
        storePart(previous + at, units - j, value);
        storePart(c.saved(PREVIOUS, s, time) + j * 4, units - j, value);
      }
    multiply(previous, samples, units, c.panels, joint * units, c.table, products);
    if (kind == GRU) {
      for (let s = 0; s < samples; s++) {
        const x = c.rowAt(c.projected, s, time, 3 * units);
        for (let j = 0; j < units; j += 4) {
          const count = units - j;
          const product = products + (s * 2 * units + j) * 4;
          const z = activate(c.recurrentActivation, c.sumOf(x, 0, j, loadPart(product, count)));
          const r = activate(c.recurrentActivation, c.sumOf(x, 1, j, loadPart(product + units * 4, count)));
          const value = f32x4.mul(r, loadPart(previous + (s * units + j) * 4, count));
          storePart(product, count, z);
          storePart(reset + (s * units + j) * 4, count, value);
          storePart(c.saved(FIRST, s, time) + j * 4, count, z);
          storePart(c.saved(FIRST + 1, s, time) + j * 4, count, r);
          storePart(c.saved(RESET, s, time) + j * 4, count, value);
        }
      }
      multiply(reset, samples, units, c.candidatePanels, units, c.table, candidates);
    }
    for (let s = 0; s < samples; s++) {
      const x = c.rowAt(c.projected, s, time, c.gates * units);
      const masked = c.isMasked(s, time);
      for (let j = 0; j < units; j += 4) {
        const count = units - j;
        const at = (s * units + j) * 4;
        let next: v128;
        if (kind == LSTM) {
          const product = products + (s * 4 * units + j) * 4;
          const i = activate(c.recurrentActivation, c.sumOf(x, 0, j, loadPart(product, count)));
          const f = activate(c.recurrentActivation, c.sumOf(x, 1, j, loadPart(product + units * 4, count)));
          const g = activate(c.activation, c.sumOf(x, 2, j, loadPart(product + units * 8, count)));
          const o = activate(c.recurrentActivation, c.sumOf(x, 3, j, loadPart(product + units * 12, count)));
          const before = loadPart(carry + at, count);
          const after = f32x4.add(f32x4.mul(f, before), f32x4.mul(i, g));
          const activated = activate(c.activation, after);
          next = f32x4.mul(o, activated);
          storePart(c.saved(FIRST, s, time) + j * 4, count, i);
          storePart(c.saved(FIRST + 1, s, time) + j * 4, count, f);
          storePart(c.saved(FIRST + 2, s, time) + j * 4, count, g);
          storePart(c.saved(FIRST + 3, s, time) + j * 4, count, o);
          storePart(c.saved(CARRY, s, time) + j * 4, count, masked ? before : after);
          storePart(c.saved(CARRY_OUT, s, time) + j * 4, count, activated);
          if (!masked) storePart(carry + at, count, after);
        } else if (kind == GRU) {
          const z = loadPart(products + (s * 2 * units + j) * 4, count);
          const candidate = activate(c.activation, c.sumOf(x, 2, j, loadPart(candidates + at, count)));
          const kept = f32x4.mul(z, loadPart(previous + at, count));
          next = f32x4.add(kept, f32x4.mul(f32x4.sub(f32x4.splat(1), z), candidate));
          storePart(c.saved(FIRST + 2, s, time) + j * 4, count, candidate);
        } else {
          next = activate(c.activation, c.sumOf(x, 0, j, loadPart(products + at, count)));
        }
        if (masked) next = loadPart(hidden + at, count);
        storePart(hidden + at, count, next);
        storePart(c.saved(HIDDEN, s, time) + j * 4, count, next);
      }
    }
  }
}

/** The gradients of the gates at one step, but those of a GRU's reset gate. */
function gateGradients(c: Call, step: i32, dGates: usize, dCandidate: usize): void {
  const samples = c.samples;
  const units = c.units;
  const joint = c.joint;
  const gates = c.gates;
  const kind = c.kind;
  const dHidden = c.dInitial;
  const dCarry = dHidden + samples * units * 4;
  const time = c.timeOf(step);
  const one = f32x4.splat(1);
  for (let s = 0; s < samples; s++) {
    const masked = c.isMasked(s, time);
    const out = c.rowAt(c.dProjected, s, time, gates * units);
    for (let j = 0; j < units; j += 4) {
      const count = units - j;
      const at = (s * units + j) * 4;
      let d = loadPart(dHidden + at, count);
      if (c.ofHidden != 0) d = f32x4.add(d, loadPart(c.rowAt(c.ofHidden, s, time, units) + j * 4, count));
      storePart(dHidden + at, count, d);
      const to = dGates + (s * joint * units + j) * 4;
      // A masked step passes the gradient to the state before it.
      if (masked) {
        for (let g = 0; g < gates; g++) {
          storePart(out + (g * units + j) * 4, count, f32x4.splat(0));
          storePart(g < joint ? to + g * units * 4 : dCandidate + at, count, f32x4.splat(0));
        }
      } else if (kind == LSTM) {
        const i = loadPart(c.saved(FIRST, s, time) + j * 4, count);
        const f = loadPart(c.saved(FIRST + 1, s, time) + j * 4, count);
        const g = loadPart(c.saved(FIRST + 2, s, time) + j * 4, count);
        const o = loadPart(c.saved(FIRST + 3, s, time) + j * 4, count);
        const activated = loadPart(c.saved(CARRY_OUT, s, time) + j * 4, count);
        let before = f32x4.splat(0);
        if (step > 0) before = loadPart(c.saved(CARRY, s, c.timeOf(step - 1)) + j * 4, count);
        else if (c.initial != 0) before = loadPart(c.initial + samples * units * 4 + at, count);
        const throughOutput = f32x4.mul(f32x4.mul(d, o), slope(c.activation, activated));
        const dc = f32x4.add(loadPart(dCarry + at, count), throughOutput);
        const di = f32x4.mul(f32x4.mul(dc, g), slope(c.recurrentActivation, i));
        const df = f32x4.mul(f32x4.mul(dc, before), slope(c.recurrentActivation, f));
        const dg = f32x4.mul(f32x4.mul(dc, i), slope(c.activation, g));
        const dout = f32x4.mul(f32x4.mul(d, activated), slope(c.recurrentActivation, o));
        storePart(to, count, di);
        storePart(to + units * 4, count, df);
        storePart(to + units * 8, count, dg);
        storePart(to + units * 12, count, dout);
        storePart(out + j * 4, count, di);
        storePart(out + (units + j) * 4, count, df);
        storePart(out + (2 * units + j) * 4, count, dg);
        storePart(out + (3 * units + j) * 4, count, dout);
        storePart(dCarry + at, count, f32x4.mul(dc, f));
      } else if (kind == GRU) {
        const z = loadPart(c.saved(FIRST, s, time) + j * 4, count);
        const candidate = loadPart(c.saved(FIRST + 2, s, time) + j * 4, count);
        const difference = f32x4.sub(loadPart(c.saved(PREVIOUS, s, time) + j * 4, count), candidate);
        const dz = f32x4.mul(f32x4.mul(d, difference), slope(c.recurrentActivation, z));
        const dc = f32x4.mul(f32x4.mul(d, f32x4.sub(one, z)), slope(c.activation, candidate));
        storePart(to, count, dz);
        storePart(out + j * 4, count, dz);
        storePart(dCandidate + at, count, dc);
        storePart(out + (2 * units + j) * 4, count, dc);
      } else {
        const y = loadPart(c.saved(HIDDEN, s, time) + j * 4, count);
        const value = f32x4.mul(d, slope(c.activation, y));
        storePart(to, count, value);
        storePart(out + j * 4, count, value);
      }
    }
  }
}

/** Writes the gradients of `projected` and of the initial states. */
export function recurrenceBackward(c: Call): void {
  const samples = c.samples;
  const units = c.units;
  const joint = c.joint;
  const kind = c.kind;
  const stateBytes = samples * units * 4;
  const dHidden = c.dInitial;
  const dPrevious = c.scratch;
  const dCandidate = dPrevious + stateBytes;
  const dReset = dCandidate + stateBytes;
  const dGates = dReset + stateBytes;
  for (let step = c.steps - 1; step >= 0; step--) {
    const time = c.timeOf(step);
    gateGradients(c, step, dGates, dCandidate);
    if (kind == GRU) {
      multiply(dCandidate, samples, units, c.candidatePanels, units, c.table, dReset);
      for (let s = 0; s < samples; s++) {
        if (c.isMasked(s, time)) continue;
        for (let j = 0; j < units; j += 4) {
          const count = units - j;
          const r = loadPart(c.saved(FIRST + 1, s, time) + j * 4, count);
          const before = loadPart(c.saved(PREVIOUS, s, time) + j * 4, count);
          const d = f32x4.mul(loadPart(dReset + (s * units + j) * 4, count), before);
          const value = f32x4.mul(d, slope(c.recurrentActivation, r));
          storePart(dGates + ((s * 2 + 1) * units + j) * 4, count, value);
          storePart(c.rowAt(c.dProjected, s, time, 3 * units) + (units + j) * 4, count, value);
        }
      }
    }
    multiply(dGates, samples, joint * units, c.panels, units, c.table, dPrevious);
    for (let s = 0; s < samples; s++) {
      if (c.isMasked(s, time)) continue;
      for (let j = 0; j < units; j += 4) {
        const count = units - j;
        const at = (s * units + j) * 4;
        let d = loadPart(dPrevious + at, count);
        if (kind == GRU) {
          const z = loadPart(c.saved(FIRST, s, time) + j * 4, count);
          const r = loadPart(c.saved(FIRST + 1, s, time) + j * 4, count);
          const through = f32x4.mul(loadPart(dReset + at, count), r);
          d = f32x4.add(f32x4.add(f32x4.mul(loadPart(dHidden + at, count), z), through), d);
        }
        storePart(dHidden + at, count, c.dropped(d, s, j));
      }
    }
  }
}
