/** A call of `fit`: writes the model and the data for the workers, trains, and brings the results back into the caller's model. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { History, LayersModel } from '@tensorflow/tfjs-layers';
import { ConfigError, OperationalError } from '../../../shared/errors.js';
import { requireTfjs } from '../../../worker/engine/tfjs.js';
import type { Tensorflow } from '../../tensorflow.js';
import { trainedModel } from '../../fit/compiled-functions.js';
import { train } from '../train.js';
import { checkArguments, checkModel, type FitArguments, type FitTensors } from './fit-arguments.js';
import { callbackListOf } from './fit-callbacks.js';
import { describeCompile, optimizerOf } from './fit-compile.js';
import { FitProgress } from './fit-progress.js';
import { assignOptimizer, assignState, hasKnownState } from './fit-weights.js';
import { definitionName, writeFiles, writePermission } from './write-fit.js';

/** tfjs's own marks of a model that is being trained. */
interface TrainedModel {
  isTraining: boolean;
  history: History;
  stopTraining_: boolean;
}

/** @throws OperationalError, or the reason of the aborted signal */
export async function runFit(
  model: LayersModel,
  xs: FitTensors,
  ys: FitTensors,
  args: FitArguments,
): Promise<History> {
  checkArguments(args);
  checkModel(model);
  args.signal?.throwIfAborted();
  const marks = trainedModel(model) as unknown as TrainedModel;
  marks.isTraining = true;
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-fit-'));
  try {
    return await trainIn(folder, requireTfjs(), model, [xs, ys], args);
  } finally {
    marks.isTraining = false;
    await rm(folder, { recursive: true, force: true });
  }
}

async function trainIn(
  folder: string,
  tf: Tensorflow,
  model: LayersModel,
  data: readonly [FitTensors, FitTensors],
  args: FitArguments,
): Promise<History> {
  const { initialEpoch = 0, epochs = 1, signal } = args;
  const spec = await writeFiles(folder, tf, model, data, args);
  await writePermission(folder, { epochs: 1, stops: false });
  const { labels } = describeCompile(tf, model, spec.values['shards']);
  const samples = spec.train.count;
  const { list, history } = callbackListOf(tf, model, args, { labels, samples, validates: spec.validation !== null });
  const marks = trainedModel(model) as unknown as TrainedModel;
  marks.history = history;
  await list.onTrainBegin();
  marks.stopTraining_ = false;
  const progress = new FitProgress({
    list,
    labels,
    initialEpoch,
    epochs,
    validates: spec.validation !== null,
    asksPermission: spec.asksPermission,
    stepsPerEpoch: Math.ceil(samples / Number(spec.values['batchSize'])),
    assign: (state) => assignState(tf, model, state),
    permit: (permission) => writePermission(folder, permission),
    hasStopped: () => marks.stopTraining_,
    verbose: args.verbose ?? 0,
  });
  await list.onEpochBegin(initialEpoch);
  const rate = (): unknown => optimizerOf(model).getConfig()['learningRate'];
  const rateBefore = rate();
  const updatesBefore = optimizerOf(model).iterations;
  const stop = new AbortController();
  const run = train(join(folder, definitionName), {
    ...spec.values,
    out: join(folder, 'run'),
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
  });
  try {
    for await (const event of run) {
      if (event.event === 'warning') warn(event.message);
      await progress.add(event);
      if (rate() !== rateBefore) throw changedRate(rateBefore, rate());
    }
    await run;
  } catch (error) {
    stop.abort(error);
    await run.catch(() => undefined);
    throw remedied(error);
  }
  signal?.throwIfAborted();
  const { state, steps } = progress;
  if (state && hasKnownState(model)) await assignOptimizer(tf, model, state, updatesBefore + steps);
  // The next call refuses to continue from this number of updates without their state.
  else Object.assign(optimizerOf(model), { iterations_: updatesBefore + steps });
  await list.onTrainEnd();
  return history;
}

/** The worker's notes on what it has taken over, which are the purpose of `fit`. */
const expectedNotes = /^model\.compile/;

function warn(message: string): void {
  if (!expectedNotes.test(message)) process.emitWarning(message, 'LockstepWarning');
}

function changedRate(before: unknown, now: unknown): ConfigError {
  return new ConfigError(
    `fit: a callback changed the optimizer's learning rate from ${String(before)} to ${String(now)}, which has no effect on the ` +
      'worker processes. Call fit() once per rate, or train() with a `schedule`.',
  );
}

/** The error with the remedy of `fit`, if it has another one than a run. */
function remedied(error: unknown): unknown {
  if (!(error instanceof OperationalError) || error.code !== 'MODEL') return error;
  const [, name] = /\((\w+)\), field "class_name": tfjs has no such layer/.exec(error.message) ?? [];
  if (name === undefined) return error;
  return new ConfigError(
    `fit: the class ${name} of a layer is not registered in the worker processes. Move it to a module that calls ` +
      'tf.serialization.registerClass, and name the module: fit(model, xs, ys, { modules: [new URL("./layers.js", import.meta.url)] }).',
    { className: name },
    error,
  );
}
