/** The recurrence by Lockstep's WebAssembly module (native/wasm/kernels/recurrence.ts): its arguments and scratch memory. */

import type { Tensor, Tensor1D, TensorInfo } from '@tensorflow/tfjs-core';
import {
  cellActivations,
  cellKinds,
  gatesOf,
  statesOf,
  type RecurrenceInputs,
  type RecurrenceOptions,
} from '../recurrence.js';
import { partsOf, type RecurrenceOps } from '../recurrence-pass.js';
import { panelBytes, tableBytes } from './products.js';
import type { WasmModule } from './module.js';

export function wasmRecurrence(module: WasmModule): RecurrenceOps {
  return {
    record: (options, inputs) => {
      const { samples, time, units } = sizesOf(inputs);
      const { tensor, to } = module.output<Tensor>([partsOf[options.kind], samples, time, units]);
      module.run.recurrenceForward(callOf(module, options, inputs, false, { record: to }));
      return tensor;
    },
    gradients: (options, inputs, record, hidden, last) => {
      const { samples, time, units } = sizesOf(inputs);
      const projected = samples * time * gatesOf[options.kind] * units;
      const states = statesOf[options.kind] * samples * units;
      const { tensor, to } = module.output<Tensor1D>([projected + states]);
      const dInitial = to + projected * 4;
      const initial = module.floats(dInitial, states);
      initial.fill(0);
      if (last) initial.set(module.floats(module.address(last), last.size));
      const call = callOf(module, options, inputs, true, {
        record: module.address(record),
        ofHidden: hidden ? module.address(hidden) : 0,
        dProjected: to,
        dInitial,
      });
      module.run.recurrenceBackward(call);
      return tensor;
    },
  };
}

function sizesOf({ projected, recurrentKernel }: RecurrenceInputs) {
  const [samples, time] = projected.shape;
  return { samples, time, units: recurrentKernel.shape[0] };
}

interface Results {
  readonly record: number;
  readonly ofHidden?: number;
  readonly dProjected?: number;
  readonly dInitial?: number;
}

/** Writes the fields of `Call` in native/wasm/kernels/recurrence.ts, in their order, and returns the address. */
function callOf(
  module: WasmModule,
  options: RecurrenceOptions,
  inputs: RecurrenceInputs,
  transposed: boolean,
  { record, ofHidden = 0, dProjected = 0, dInitial = 0 }: Results,
): number {
  const { kind, activation, recurrentActivation, backwards } = options;
  const { samples, time, units } = sizesOf(inputs);
  const gates = gatesOf[kind];
  const joint = kind === 'gru' ? 2 : gates;
  const at = (tensor: TensorInfo | undefined): number => (tensor ? module.address(tensor) : 0);
  const kernel = at(inputs.recurrentKernel);
  const rowBytes = gates * units * 4;
  const [rows, columns] = transposed ? [joint * units, units] : [units, joint * units];
  const strides = transposed ? ([4, rowBytes] as const) : ([rowBytes, 4] as const);
  const jointBytes = panelBytes(rows, columns);
  const panels = module.scratch('panels', jointBytes + panelBytes(units, units));
  const candidatePanels = panels + jointBytes;
  module.run.packPanels(kernel, rows, columns, ...strides, panels, rows * 32);
  if (kind === 'gru')
    module.run.packPanels(kernel + 2 * units * 4, units, units, ...strides, candidatePanels, units * 32);
  const table = module.scratch('table', tableBytes);
  const scratch = module.scratch('frame', (5 + joint) * samples * units * 4);
  const fields = [
    cellKinds[kind],
    cellActivations[activation],
    cellActivations[recurrentActivation],
    backwards ? 1 : 0,
    samples,
    time,
    units,
    at(inputs.projected),
    at(inputs.bias),
    at(inputs.mask),
    at(inputs.dropout),
    at(inputs.initial),
    panels,
    candidatePanels,
    table,
    scratch,
    record,
    ofHidden,
    dProjected,
    dInitial,
  ];
  const call = module.scratch('vectors', fields.length * 4);
  module.integers(call, fields.length).set(fields);
  return call;
}
