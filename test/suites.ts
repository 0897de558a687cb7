/**
 * The suites and the files of each. `npm run test:unit` runs `unit`; `npm test` runs `unit`, `core` and `core-wasm`;
 * `npm run test:all` runs `long` and `long-wasm`, which are everything else. A folder under test/ states the kind of a test; its suite
 * states when the test runs.
 * test/unit/suites.test.ts asserts that every file is in exactly one suite.
 */

/** Tests of one module or protocol, in one process. They are in `unit` unless `isolated` or `patient` names them. */
const unit = ['contract', 'oracle', 'property', 'unit'].map((folder) => `test/${folder}/**/*.test.ts`);

/**
 * Tests that load a tensor engine or replace a module, which needs a process for each file, and tests that take more than about four
 * seconds of CPU time: in `core`. The files of `unit` share their processes, which halves the time of that suite.
 */
const isolated: readonly string[] = [
  'test/oracle/attention.test.ts',
  'test/oracle/dense.test.ts',
  'test/oracle/export-readers.test.ts',
  'test/oracle/layers.test.ts',
  'test/oracle/losses.test.ts',
  'test/oracle/optimizers.test.ts',
  'test/oracle/recurrent.test.ts',
  'test/oracle/refused-models.test.ts',
  'test/oracle/some-models.test.ts',
  'test/oracle/teacher-forced.test.ts',
  'test/property/collectives.test.ts',
  'test/property/coordinator.test.ts',
  'test/unit/adam.test.ts',
  'test/unit/arithmetic.test.ts',
  'test/unit/artefacts.test.ts',
  'test/unit/bfloat16-convolutions.test.ts',
  'test/unit/commit-step.test.ts',
  'test/unit/compiled-model.test.ts',
  'test/unit/confusion-picture.test.ts',
  'test/unit/coordinator-cost.test.ts',
  'test/unit/count-metrics.test.ts',
  'test/unit/data-checks.test.ts',
  'test/unit/data-real.test.ts',
  'test/unit/digit-image.test.ts',
  'test/unit/engine.test.ts',
  'test/unit/every-layer.test.ts',
  'test/unit/executor.test.ts',
  'test/unit/export.test.ts',
  'test/unit/final-activation.test.ts',
  'test/unit/first-step.test.ts',
  'test/unit/formula-losses.test.ts',
  'test/unit/frozen-batch-norm.test.ts',
  'test/unit/gpu-kernels.test.ts',
  'test/unit/hover-texts.test.ts',
  'test/unit/import.test.ts',
  'test/unit/keras-import.test.ts',
  'test/unit/layer-refusals.test.ts',
  'test/unit/layers-same-bits.test.ts',
  'test/unit/leak-watch.test.ts',
  'test/unit/load-model.test.ts',
  'test/unit/masks.test.ts',
  'test/unit/memory-data.test.ts',
  'test/unit/numerics.test.ts',
  'test/unit/onnx-windows.test.ts',
  'test/unit/numerics-detector.test.ts',
  'test/unit/open-evaluator.test.ts',
  'test/unit/own-op-failure.test.ts',
  'test/unit/own-ops.test.ts',
  'test/unit/portable-convolutions.test.ts',
  'test/unit/precision.test.ts',
  'test/unit/product-ops.test.ts',
  'test/unit/random-layers.test.ts',
  'test/unit/recorded-layers.test.ts',
  'test/unit/resize-gradient.test.ts',
  'test/unit/sequence-layers.test.ts',
  'test/unit/tfjs-parts.test.ts',
  'test/unit/transpile-cache.test.ts',
  'test/unit/trusted-files.test.ts',
  'test/unit/wasm-kernels.test.ts',
  'test/unit/webgpu-device.test.ts',
  'test/unit/webgpu-engine.test.ts',
  'test/unit/webgpu-packages.test.ts',
  'test/unit/webgpu-shard-sums.test.ts',
  'test/unit/weight-paths.test.ts',
];

/**
 * Real training in real processes: on native TensorFlow and on WebAssembly, identical bits for any number of workers, resume from a
 * checkpoint, and recovery from killed processes. In `core`; `core-wasm` repeats those of `trainingOnWasm`.
 */
const training = [
  'test/e2e/resume.test.ts',
  'test/e2e/same-bits.test.ts',
  'test/e2e/training.test.ts',
  'test/fault/killed-processes.test.ts',
];

const trainingOnWasm = ['test/e2e/training.test.ts', 'test/fault/killed-processes.test.ts'];

/** Tests of one process that run for hundreds of steps or calls: in `long`. */
const patient = [
  'test/oracle/layers-on-webgpu.test.ts',
  'test/oracle/models.test.ts',
  'test/oracle/models-on-gpu-kernels.test.ts',
  'test/oracle/models-on-webgpu.test.ts',
  'test/oracle/models-on-workers.test.ts',
  'test/property/random-models.test.ts',
  'test/unit/executor-memory.test.ts',
  'test/unit/large-model.test.ts',
  'test/unit/numerics-300-calls.test.ts',
  'test/unit/webgpu-endurance.test.ts',
  'test/unit/webgpu-step.test.ts',
];

/**
 * Tests of several workers whose result depends on the engine: bits, the state that workers receive, recovery. They run twice: on the
 * installed engine, and again with LOCKSTEP_ENGINE=wasm.
 */
const multiWorker = [
  'test/e2e/ledger.test.ts',
  'test/e2e/resume.test.ts',
  'test/e2e/training.test.ts',
  'test/e2e/training-rules.test.ts',
  'test/fault/elastic.test.ts',
  'test/fault/killed-processes.test.ts',
  'test/fault/lost-processes.test.ts',
];

/**
 * Tests that start processes or compile native code. They are in `long` unless `training` names them. The table of signals
 * (test/fault/signals.test.ts, every role at every moment) takes 40 seconds of two cores. The jobs on Slurm (test/e2e/slurm.test.ts,
 * test/fault/slurm.test.ts) took 34 and 118 s beside other work, most of which they wait: Slurm starts a requeued job after 6 s, and a
 * lost coordinator's lease ends after 12 s.
 */
const processes = ['e2e', 'fault', 'native'].map((folder) => `test/${folder}/**/*.test.ts`);

interface Suite {
  readonly include: string[];
  readonly exclude: string[];
}

/** Files of the folders of `unit` that are in another suite. */
const elsewhere = [...isolated, ...patient];

/** The files of each vitest project. The names of those that run on WebAssembly end in `-wasm`. */
export const suites: Readonly<Record<string, Suite>> = {
  unit: { include: unit, exclude: elsewhere },
  core: { include: [...isolated, ...training], exclude: [] },
  'core-wasm': { include: trainingOnWasm, exclude: [] },
  long: { include: [...processes, ...patient], exclude: training },
  'long-wasm': { include: multiWorker.filter((file) => !trainingOnWasm.includes(file)), exclude: [] },
};

/** Every file that is named above, for the test that each of them exists. */
export const namedFiles: readonly string[] = [
  ...isolated,
  ...patient,
  ...training,
  ...trainingOnWasm,
  ...multiWorker,
];
