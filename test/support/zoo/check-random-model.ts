/**
 * The property of a random model: it is refused with the name of a layer, or it trains to equal bits for any number of workers and to
 * the values of tfjs's own `fit`.
 */

import { OperationalError } from '../../../src/shared/errors.js';
import type { Engine } from '../../../src/worker/engine/engine.js';
import { Recording } from '../workers-in-process.js';
import { layersOf } from './batch-norm-rule.js';
import { differences, tolerance } from './differences.js';
import { randomTraining } from './random-model.js';
import { CaseTraining, type Trained } from './train-case.js';

export type Outcome =
  | { readonly kind: 'refused'; readonly reason: string }
  /** `reference`: what it was compared with; `none` if it draws random numbers or tfjs's `fit` fails. */
  | { readonly kind: 'trained'; readonly reference: 'fit' | 'none'; readonly reason: string };

/**
 * Factor by which Lockstep's distance from the reference in float64 may exceed that of tfjs's own `fit` in float32, where that is
 * above the tolerance: some models amplify rounding.
 */
const amplification = 10;

/** Growth of the loss with which a comparison of values has no meaning: every rounding error has grown as well. */
const divergence = 30;

interface DropoutFields {
  readonly rate?: number;
  readonly stddev?: number;
  readonly dropout?: number;
  readonly recurrentDropout?: number;
}

/** The layers of a model in one line. */
export function describeRandomModel({ tf }: Pick<Engine, 'tf'>, seed: number): string {
  const { modelCase, size, workers } = randomTraining(seed);
  const model = modelCase.build(tf);
  const layers = layersOf(model).map((layer) => `${layer.getClassName()}${outputShapeOf(layer)}`);
  model.dispose();
  return `${layers.join(', ')}; ${JSON.stringify({ ...size, workers, loss: modelCase.loss })}`;
}

function outputShapeOf(layer: ReturnType<typeof layersOf>[number]): string {
  const [call] = (layer as unknown as { inboundNodes: readonly { outputShapes: unknown }[] }).inboundNodes;
  return call ? ` ${JSON.stringify(call.outputShapes)}` : '';
}

/** @throws Error that states the first violation */
export async function checkRandomModel(engine: Engine, seed: number): Promise<Outcome> {
  const { modelCase, size, workers } = randomTraining(seed);
  const training = new CaseTraining(engine, modelCase, size, { arithmetic: 'tfjs' });
  const model = modelCase.build(engine.tf);
  const layers = layersOf(model);
  const draws = layers.some((layer) => {
    const { rate = 0, stddev = 0, dropout = 0, recurrentDropout = 0 } = layer as unknown as DropoutFields;
    return Math.max(rate, stddev, dropout, recurrentDropout) > 0;
  });
  model.dispose();

  const recording = new Recording();
  let trained: Trained;
  try {
    trained = await training.alone({ predict: true, recording });
  } catch (error) {
    return refusal(training, error, new Set(layers.map((layer) => layer.getClassName())));
  }
  for (const count of workers)
    for (const [rank, hash] of (await training.workers(count, recording)).entries())
      if (hash !== trained.weightsSha256) throw new Error(`Worker ${rank} of ${count} has other weights.`);
  const [first = 0] = trained.losses;
  if (Math.max(...trained.losses) > divergence * (first + 1))
    return { kind: 'trained', reference: 'none', reason: 'it diverges' };
  if (draws) return { kind: 'trained', reference: 'none', reason: 'it draws random numbers' };
  return compare(training, trained);
}

/** Refusals that state a limit of tfjs, so that its own `fit` must fail as well. */
const limitOfTfjs = /failed in tfjs|tfjs has no gradient/;

async function refusal(
  training: CaseTraining,
  error: unknown,
  classNames: ReadonlySet<string>,
): Promise<Outcome> {
  if (!(error instanceof OperationalError)) throw error;
  const { message } = error;
  const named = [...classNames].find((name) => message.includes(`(${name})`));
  if (error.code !== 'MODEL' || named === undefined)
    throw new Error(`Expected an error of code MODEL that names a layer, got ${error.code}: ${message}`);
  if (limitOfTfjs.test(message)) {
    const initialWeights = await training.initialWeights();
    const trains = await training.fit({ initialWeights, weights: initialWeights }, 'float32').then(
      () => true,
      () => false,
    );
    if (trains) throw new Error(`Expected a failure of tfjs.fit as well, got none: ${message}`);
  }
  return { kind: 'refused', reason: message.slice(message.indexOf(`(${named})`)) };
}

async function compare(training: CaseTraining, trained: Trained): Promise<Outcome> {
  let exact;
  try {
    exact = await training.fit(trained, 'float64');
  } catch (error) {
    return { kind: 'trained', reference: 'none', reason: `tfjs.fit fails: ${String(error)}` };
  }
  const found = differences(trained, exact);
  const worst = (): [string, number][] => [
    ['loss', found.loss],
    ['predictions', found.predictions],
    ...found.weights.map(([name, error]): [string, number] => [name, error]),
  ];
  if (worst().every(([, error]) => error < tolerance))
    return { kind: 'trained', reference: 'fit', reason: '' };
  const single = await training.fit(trained, 'float32');
  const rounding = differences(
    { ...trained, losses: single.losses, predictions: single.predictions, weights: single.weights },
    exact,
  );
  const bounds = [rounding.loss, rounding.predictions, ...rounding.weights.map(([, error]) => error)].map(
    (error) => Math.max(tolerance, amplification * error),
  );
  const wrong = worst().filter(([, error], i) => !(error < (bounds[i] ?? tolerance)));
  if (wrong.length > 0)
    throw new Error(
      `Values differ from those of tfjs.fit: ${wrong.map(([name, error]) => `${name} by ${error.toExponential(1)}`).join(', ')}.`,
    );
  return { kind: 'trained', reference: 'fit', reason: 'amplifies rounding' };
}
