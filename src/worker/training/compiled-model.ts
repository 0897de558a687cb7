/**
 * Takes over the choices of `model.compile(...)` in a training definition, which are in tfjs's names. A field of the definition outranks a
 * choice of compile, and a value of `--set` outranks both. An optimizer or a loss without a counterpart is refused by name. A metric
 * without a counterpart is left out with a warning.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import {
  compiledFieldsOf,
  resolvedConfigSchema,
  type CompiledFields,
  type ResolvedConfig,
} from '../../shared/config/run-config.js';
import { withDefaultsOfTfjs } from '../../shared/config/optimizer-config.js';
import { applyAssignments, assignmentsOf } from '../../shared/config/assignments.js';
import { ConfigError } from '../../shared/errors.js';
import { describeValue } from '../../shared/user-code.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { fieldsOf } from '../executor/layer.js';
import { finalActivations } from '../executor/final-activation.js';
import { outputNames } from '../objective/objective.js';
import { lossOfTfjs, metricOfTfjs } from './compiled-names.js';

interface CompiledModel {
  readonly optimizer_?: CompiledOptimizer | null;
  readonly loss?: unknown;
  readonly metrics?: unknown;
}

interface CompiledOptimizer {
  getClassName(): string;
  getConfig(): Record<string, unknown>;
}

export interface TakenOver {
  readonly config: ResolvedConfig;
  /** The fields that differ from the given configuration, and those that belong to them; null if none differs. */
  readonly compiled: CompiledFields | null;
  readonly notes: readonly string[];
}

/**
 * @param given fields that the training definition sets itself
 * @throws ConfigError naming an optimizer or a loss without a counterpart
 */
export function takeOverCompile(
  tf: Tensorflow,
  model: LayersModel,
  config: ResolvedConfig,
  given: Readonly<Record<string, unknown>>,
): TakenOver {
  const { optimizer_: optimizer, loss, metrics } = fieldsOf<CompiledModel>(model);
  if (optimizer === undefined || optimizer === null) return { config, compiled: null, notes: [] };
  const names = outputNames(model);
  const notes: string[] = [];
  const taken: Record<string, unknown> = {};
  const outranked: string[] = [];
  const take = (field: 'optimizer' | 'loss' | 'metrics', make: () => unknown): void => {
    if (given[field] !== undefined) {
      outranked.push(field);
      return;
    }
    const value = make();
    if (value !== undefined) taken[field] = value;
  };
  take('optimizer', () => optimizerOf(optimizer));
  if (loss !== undefined && loss !== null && !(Array.isArray(loss) && loss.length === 0))
    take('loss', () => lossesOf(tf, model, names, loss, notes));
  const listed = listedMetrics(metrics, names);
  if (listed.length > 0) take('metrics', () => metricsOf(tf, listed, notes));
  // tfjs has no schedule: the rate is constant unless the definition has one.
  const assigned = assignmentsOf(config.set);
  const setsSchedule = assigned.some(({ path: [field] }) => field === 'schedule');
  if (taken['optimizer'] !== undefined && given['schedule'] === undefined && !setsSchedule)
    taken['schedule'] = { kind: 'constant' };
  const set = assigned.filter(({ path: [field = ''] }) => field in taken);
  const chosen = applyAssignments({ ...config, ...taken }, set);
  const parsed = resolvedConfigSchema.safeParse(chosen);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const withSet = set.length > 0 ? ` with --set ${set.map(({ path }) => path.join('.')).join(', ')}` : '';
    throw new ConfigError(
      `model.compile${withSet}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}.`,
    );
  }
  const list = Object.keys(taken).map((field) => `${field} ${JSON.stringify(chosen[field])}`);
  return {
    config: Object.freeze(parsed.data),
    compiled: list.length > 0 ? compiledFieldsOf(parsed.data) : null,
    notes: [
      ...(list.length > 0 ? [`model.compile is taken over: ${list.join(', ')}.`] : []),
      ...(outranked.length > 0
        ? [`model.compile: the definition's own ${outranked.join(', ')} outranks it.`]
        : []),
      ...notes,
    ],
  };
}

/** Optimizers with tfjs's rules, and with the values that were given to tfjs. */
function optimizerOf(optimizer: CompiledOptimizer): Record<string, unknown> {
  const name = optimizer.getClassName();
  const config = optimizer.getConfig();
  const { learningRate, beta1, beta2, epsilon, momentum, useNesterov } = config;
  const own = (kind: string, fields: Record<string, unknown>) =>
    withDefaultsOfTfjs({ kind, learningRate, ...fields }) as Record<string, unknown>;
  switch (name) {
    case 'SGD':
      return { kind: 'sgd', learningRate };
    case 'Momentum':
      // Without a momentum, Nesterov's rule is plain gradient descent.
      return { kind: 'sgd', learningRate, momentum, nesterov: useNesterov === true && momentum !== 0 };
    case 'Adam':
      return { kind: 'adam', learningRate, beta1, beta2, epsilon };
    case 'RMSProp':
      return own('rmsprop', { decay: config['decay'], momentum, epsilon, centered: config['centered'] });
    case 'Adagrad':
      return own('adagrad', { initialAccumulatorValue: config['initialAccumulatorValue'] });
    case 'Adadelta':
      return own('adadelta', { rho: config['rho'], epsilon });
    case 'Adamax':
      if (config['decay'] !== 0) {
        throw new ConfigError(
          `model.compile: expected an adamax without decay, got decay ${String(config['decay'])}. ` +
            "Leave it out, and set `schedule` in the definition, e.g. { kind: 'cosine' }.",
        );
      }
      return own('adamax', { beta1, beta2, epsilon });
    default:
      throw new ConfigError(
        `model.compile: expected an optimizer of tfjs, got ${name}, which has no counterpart. ` +
          "Set `optimizer` in the definition, e.g. { kind: 'adam', learningRate: 0.001 }.",
        { optimizer: name },
      );
  }
}

function lossesOf(
  tf: Tensorflow,
  model: LayersModel,
  names: readonly string[],
  loss: unknown,
  notes: string[],
): unknown {
  const activations = finalActivations(model);
  const one = (value: unknown, i: number): string => {
    const found = lossOfTfjs(tf, value);
    if (found === undefined) {
      const got = typeof value === 'string' ? value : describeValue(value);
      throw new ConfigError(
        `model.compile: the loss ${got} has no counterpart. Set \`loss\` in the definition to one of its names, or to a ` +
          'function: ({ tf, prediction, target }) => losses, one per sample.',
      );
    }
    const { kind, activation, name } = found;
    if (activation !== undefined && (activations[i] ?? 'linear') === 'linear') {
      notes.push(
        `Output "${names[i] ?? ''}": ${name} takes probabilities, and the output has no ${activation}. The loss ${kind} takes it ` +
          'as logits, and the predictions of the saved model are logits.',
      );
    }
    return kind;
  };
  if (typeof loss === 'string' || typeof loss === 'function') {
    const kinds = names.map((_, i) => one(loss, i));
    return kinds[0];
  }
  const byOutput = names.map((name, i) => {
    const value: unknown = Array.isArray(loss) ? loss[i] : (loss as Record<string, unknown>)[name];
    return [name, one(value, i)] as const;
  });
  return byOutput.length === 1 ? byOutput[0]?.[1] : Object.fromEntries(byOutput);
}

/** A metric of compile, and its output if compile names one of several. */
type ListedMetric = readonly [metric: unknown, output: string | undefined];

function listedMetrics(metrics: unknown, names: readonly string[]): readonly ListedMetric[] {
  if (metrics === undefined || metrics === null) return [];
  const isByOutput = typeof metrics === 'object' && !Array.isArray(metrics);
  return isByOutput
    ? Object.entries(metrics).flatMap(([output, value]) =>
        [value].flat().map((metric: unknown) => [metric, names.length > 1 ? output : undefined] as const),
      )
    : [metrics].flat().map((metric: unknown) => [metric, undefined] as const);
}

/** Returns undefined if no metric has a counterpart. */
function metricsOf(
  tf: Tensorflow,
  listed: readonly ListedMetric[],
  notes: string[],
): Record<string, unknown>[] | undefined {
  const taken = listed.flatMap(([metric, output]) => {
    const kind = metricOfTfjs(tf, metric);
    if (kind !== undefined) return [{ kind, ...(output === undefined ? {} : { output }) }];
    const got = typeof metric === 'string' ? metric : describeValue(metric);
    notes.push(
      `model.compile: the metric ${got} has no counterpart and is left out. Set \`metrics\` in the definition, e.g. to a function.`,
    );
    return [];
  });
  return taken.length > 0 ? taken : undefined;
}
