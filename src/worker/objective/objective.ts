/**
 * The objective of a run: a weighted loss for each of the model's outputs, and the metrics. Checks that they fit the model and
 * the data. Every value is a sum over samples, so that the shards' values can be added.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { DefinitionFunctions } from '../../api/definition-functions.js';
import { lossOfOutputs, namedOutputs } from '../../shared/config/loss-config.js';
import { isCountMetric, metricObject } from '../../shared/config/metric-config.js';
import type {
  MetricConfig,
  MetricObject,
  OutputLossConfig,
  RunConfig,
} from '../../shared/config/run-config.js';
import type { TensorSpec } from '../../shared/data/training-data.js';
import { ConfigError } from '../../shared/errors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from '../kernels/kernels.js';
import { planActivations } from './activation-plan.js';
import { checkTargets } from './check-targets.js';
import { createLoss, type Loss } from './losses.js';
import { createCountMetric } from './count-metrics.js';
import { createMetric } from './metrics.js';

export interface ObjectiveOptions {
  readonly tf: Tensorflow;
  readonly kernels: Kernels;
  readonly model: LayersModel;
  readonly config: Pick<RunConfig, 'loss' | 'metrics' | 'schedule' | 'earlyStopping'>;
  readonly functions: DefinitionFunctions;
  readonly targets: readonly TensorSpec[];
  /** Name of the data in messages. */
  readonly dataName: string;
}

interface NamedMetric {
  readonly name: string;
  readonly output: number;
  /** Number of sums. */
  readonly width: number;
  /** Returns the sums over some samples. */
  readonly measure: (prediction: Tensor, target: Tensor) => ArrayLike<number>;
  /** Returns the metric of the sums over all samples. */
  readonly value: (sums: Float64Array, count: number) => number;
}

/** The results of a data set. */
export interface Results {
  /** Mean over the samples. */
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Number of correctly classified samples; null if `accuracy` is not among the metrics. */
  readonly correct: number | null;
}

export class Objective {
  readonly #losses: readonly { readonly loss: Loss; readonly weight: number }[];
  readonly #metrics: readonly NamedMetric[];
  /** For each output, true if the loss takes it without the activation of the model's last layer. */
  readonly logits: readonly boolean[];
  /** One sentence for each output whose loss contains the model's last activation, or does not fit it. */
  readonly notes: readonly string[];

  /** @throws ModelError or ConfigError if losses, metrics, model and data do not fit each other */
  constructor(options: ObjectiveOptions) {
    const { tf, kernels, model, config, functions } = options;
    const names = outputNames(model);
    const unknown = namedOutputs(config.loss).filter((name) => !names.includes(name));
    if (unknown.length > 0) throw noOutput('loss', unknown, names);
    const losses = lossOfOutputs(config.loss, names).map((loss, i): OutputLossConfig => {
      if (loss) return loss;
      throw new ConfigError(`loss: expected one for each output, got none for "${names[i] ?? ''}".`);
    });
    const notes = checkTargets(
      { model, targets: options.targets, dataName: options.dataName },
      names,
      losses,
    );
    const plan = planActivations(model, names, losses);
    this.logits = plan.outputs.map(({ form }) => form === 'logits');
    this.notes = [...plan.notes, ...notes];
    this.#losses = losses.map((loss, i) => ({
      loss: createLoss(
        tf,
        kernels,
        loss,
        functions.losses.get(names[i] ?? '') ?? functions.losses.get(''),
        plan.outputs[i]?.form,
      ),
      weight: loss.weight,
    }));
    this.#metrics = chooseMetrics(config.metrics, names, losses).map((chosen): NamedMetric => {
      const { name, output, config: metric } = chosen;
      const loss = losses[output] as OutputLossConfig;
      const planned = plan.outputs[output];
      if (!isCountMetric(metric)) {
        const measure = createMetric(tf, metric, loss, functions.metrics.get(name), planned);
        const mean = (sums: Float64Array, count: number): number => (sums[0] ?? 0) / count;
        return { name, output, width: 1, measure: (...given) => [measure(...given)], value: mean };
      }
      const units = unitsOf(model, output, loss);
      const counted = { name: names[output] ?? '', units, loss, form: planned?.form ?? 'asIs' };
      const { width, count, value } = createCountMetric(tf, metric, counted);
      return { name, output, width, measure: count, value };
    });
    const { schedule, earlyStopping } = config;
    const judged = [schedule.kind === 'plateau' ? schedule.metric : 'loss', earlyStopping?.metric ?? 'loss'];
    for (const metric of judged) {
      if (metric !== 'loss' && !this.metricNames.includes(metric))
        throw new ConfigError(
          `metric: expected loss${this.metricNames.map((name) => `, ${name}`).join('')}, got "${metric}". Add it to metrics.`,
        );
    }
  }

  /** Names of the metrics, in the order of the result of `measure`. */
  get metricNames(): string[] {
    return this.#metrics.map(({ name }) => name);
  }

  /**
   * @param outputs one shard's predictions, one tensor per output; targets likewise
   * @returns the weighted loss, summed over samples, and its gradient by each output
   */
  compute(
    outputs: readonly Tensor[],
    targets: readonly Tensor[],
  ): { sum: number; gradients: readonly Tensor[] } {
    let total = 0;
    const gradients = this.#losses.map(({ loss, weight }, i) => {
      const { sum, gradient } = loss(outputs[i] as Tensor, targets[i] as Tensor);
      total += weight * sum;
      return weight === 1 ? gradient : gradient.mul<Tensor>(weight);
    });
    return { sum: total, gradients };
  }

  /** Number of sums of `measure`. */
  get sumCount(): number {
    return this.#metrics.reduce((total, { width }) => total + width, 1);
  }

  /** Returns the sums of the loss and of each metric over the samples. `results` computes the values from the sums of all samples. */
  measure(outputs: readonly Tensor[], targets: readonly Tensor[]): Float64Array {
    const sums = this.metricSums(outputs, targets);
    sums[0] = this.compute(outputs, targets).sum;
    return sums;
  }

  /** Returns the sums of `measure` with 0 as the loss, for a step that computes the loss itself. */
  metricSums(outputs: readonly Tensor[], targets: readonly Tensor[]): Float64Array {
    const sums = new Float64Array(this.sumCount);
    let at = 1;
    for (const { output, width, measure } of this.#metrics) {
      sums.set(measure(outputs[output] as Tensor, targets[output] as Tensor), at);
      at += width;
    }
    return sums;
  }

  /** @param sums the sums of `measure` over `count` samples */
  results(sums: Float64Array, count: number): Results {
    const metrics: Record<string, number> = {};
    let correct: number | null = null;
    let at = 1;
    for (const { name, width, value } of this.#metrics) {
      if (name === 'accuracy') correct = sums[at] ?? 0;
      metrics[name] = value(sums.subarray(at, at + width), count);
      at += width;
    }
    return { loss: (sums[0] ?? 0) / count, metrics, correct };
  }
}

/** Classes of an output, or the values of one sample. */
function unitsOf(model: LayersModel, output: number, loss: OutputLossConfig): number {
  const shape = (model.outputs[output]?.shape ?? []).slice(1);
  if (loss.kind === 'softmaxCrossEntropy') return shape.at(-1) ?? 1;
  return shape.reduce<number>((product, size) => product * (size ?? 1), 1);
}

/** Outputs are named after the layers that compute them. */
export function outputNames(model: LayersModel): string[] {
  return model.outputs.map((output: SymbolicTensor) => output.sourceLayer.name);
}

function noOutput(field: string, unknown: readonly string[], names: readonly string[]): ConfigError {
  return new ConfigError(
    `${field}: expected names of outputs (${names.join(', ')}), got ${unknown.join(', ')}. Outputs are named after their layers.`,
  );
}

interface ChosenMetric {
  readonly name: string;
  readonly output: number;
  readonly config: MetricObject;
}

/** @throws ConfigError for an unknown output, or for two metrics of one name */
function chooseMetrics(
  metrics: readonly MetricConfig[] | null,
  outputs: readonly string[],
  losses: readonly OutputLossConfig[],
): ChosenMetric[] {
  const classes = (loss: OutputLossConfig): boolean =>
    loss.kind === 'softmaxCrossEntropy' || loss.kind === 'binaryCrossEntropy';
  const given = metrics ?? (['accuracy', 'meanAbsoluteError'] as const);
  const chosen = given.flatMap((metric): ChosenMetric[] => {
    const config = metricObject(metric);
    if (config.output !== undefined && !outputs.includes(config.output))
      throw noOutput('metrics', [config.output], outputs);
    const name = config.name ?? (config.kind === 'topK' ? `top${config.k}` : config.kind);
    const fits = (loss: OutputLossConfig): boolean => {
      if (config.kind === 'custom') return true;
      if (config.kind === 'topK') return loss.kind === 'softmaxCrossEntropy';
      if (loss.kind === 'custom') return metrics !== null;
      return classes(loss) === (config.kind === 'accuracy' || isCountMetric(config));
    };
    if (isCountMetric(config) && config.output === undefined && !losses.some(fits)) {
      throw new ConfigError(
        `metrics: ${config.kind} needs an output with the loss softmaxCrossEntropy or binaryCrossEntropy, got none. Leave it out.`,
      );
    }
    return losses.flatMap((loss, output) => {
      const wanted = config.output === undefined ? fits(loss) : config.output === outputs[output];
      const full = outputs.length === 1 ? name : `${outputs[output] ?? ''}.${name}`;
      return wanted ? [{ name: config.name ?? full, output, config }] : [];
    });
  });
  const names = chosen.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ConfigError(
      `metrics: expected different names, got "${twice}" twice. Give each a name and an output.`,
    );
  return chosen;
}
