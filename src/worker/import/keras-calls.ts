/** Converts the calls of a layer from Keras 3 to the form of tfjs and Keras 2. */

import type { CallConfig, LayerConfig } from '../model-files/layer-config.js';
import { convertAttentionCall, isAttention } from './keras-attention.js';
import type { Keras3Call, KerasFile, Refuse } from './keras-file.js';

export type AnyCall = CallConfig | Keras3Call;

/** Classes of layers that compute something else in training than in inference. */
const trainingDependent =
  /^(BatchNormalization|Dropout|SpatialDropout[123]D|AlphaDropout|GaussianDropout|GaussianNoise|Random\w*)$/;

/** Returns the calls; those of tfjs and Keras 2 keep their form. */
export function convertCalls(
  calls: readonly AnyCall[],
  layer: LayerConfig,
  { isKeras }: Pick<KerasFile, 'isKeras'>,
  refuse: Refuse,
): CallConfig[] {
  return calls.map((call) => {
    if (!Array.isArray(call)) return convertCall(call, layer, refuse);
    for (const [, , , kwargs = {}] of call) {
      if (isKeras && typeof kwargs['training'] === 'boolean')
        checkTraining(kwargs['training'], layer, refuse);
    }
    return call;
  });
}

/** @throws ModelError if the layer computes something else with this argument than without */
function checkTraining(training: unknown, layer: LayerConfig, refuse: Refuse): void {
  if (training === null || !dependsOnTraining(layer)) return;
  refuse(
    'inbound_nodes',
    `it is called with training=${JSON.stringify(training)}. Set \`trainable\` to false on the layers that must not change instead`,
  );
}

function convertCall(call: Keras3Call, layer: LayerConfig, refuse: Refuse): CallConfig {
  if (isAttention(layer)) {
    checkTraining(call.kwargs?.['training'] ?? null, layer, refuse);
    return convertAttentionCall(call, layer, tensorsOf, refuse);
  }
  const { args, kwargs = {} } = call;
  const field = 'inbound_nodes';
  const [first, ...others] = args;
  const inputs = tensorsOf(first);
  if (!inputs) return refuse(field, `expected tensors as input, got ${JSON.stringify(first)}`);
  for (const other of others) {
    if (other !== null)
      refuse(field, 'expected one argument (a tensor or a list), got several: tfjs has no such operation');
  }
  for (const [name, value] of Object.entries(kwargs)) {
    if (value === null) continue;
    const states = name === 'initial_state' ? tensorsOf(value) : undefined;
    if (states) inputs.push(...states);
    else if (name === 'training') checkTraining(value, layer, refuse);
    else refuse(field, `tfjs has no argument "${name}" for it`);
  }
  return inputs;
}

/** Returns the references of a tensor or of a list of tensors; undefined for anything else. */
function tensorsOf(value: unknown): CallConfig | undefined {
  if (Array.isArray(value)) {
    const tensors = value.map(tensorsOf);
    return tensors.every((tensor) => tensor !== undefined) ? tensors.flat() : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { class_name, config } = value as { class_name?: unknown; config?: { keras_history?: unknown } };
  const history = config?.keras_history;
  if (class_name !== '__keras_tensor__' || !Array.isArray(history)) return undefined;
  const [layer, call, output] = history as [unknown, unknown, unknown];
  return [[String(layer), Number(call), Number(output), {}]];
}

function dependsOnTraining({ class_name, config }: LayerConfig): boolean {
  if (trainingDependent.test(class_name)) return true;
  const drops = ['dropout', 'recurrent_dropout'].some((field) => Number(config[field] ?? 0) > 0);
  return drops || [...(config.layers ?? []), ...(config.layer ? [config.layer] : [])].some(dependsOnTraining);
}
