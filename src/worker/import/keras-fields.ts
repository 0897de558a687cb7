/** Converts the fields of one layer from Keras to tfjs. */

import type { LayerConfig } from '../model-files/layer-config.js';
import type { JsonObject, KerasFile, Refuse } from './keras-file.js';

/** A field that tfjs ignores, and the value with which Keras computes as if it were not there. */
interface Ignored {
  readonly field: string;
  readonly neutral: readonly unknown[];
  /** Class of the layer; undefined for all. */
  readonly of?: string;
}

const ignored: readonly Ignored[] = [
  { field: 'groups', neutral: [1] },
  { field: 'keepdims', neutral: [false] },
  { field: 'output_padding', neutral: [] },
  { field: 'time_major', neutral: [false] },
  { field: 'renorm', neutral: [false] },
  { field: 'reset_after', neutral: [false] },
  { field: 'quantization_config', neutral: [] },
  { field: 'quantization_mode', neutral: [] },
  { field: 'lora_rank', neutral: [] },
  { field: 'autocast', neutral: [true] },
  { field: 'negative_slope', neutral: [0], of: 'ReLU' },
  { field: 'threshold', neutral: [0], of: 'ReLU' },
  { field: 'rms_scaling', neutral: [false], of: 'LayerNormalization' },
  { field: 'pad_to_aspect_ratio', neutral: [false], of: 'Resizing' },
  { field: 'data_format', neutral: ['channels_last'], of: 'Resizing' },
];

const policies: readonly unknown[] = ['float32', 'int32', 'bool'];

/** Names that Keras has for things that tfjs has under other names. */
const renamed: Readonly<Record<string, string>> = {
  silu: 'swish',
  LecunNormal: 'LeCunNormal',
  LecunUniform: 'LeCunUniform',
  IdentityInitializer: 'Identity',
  OrthogonalInitializer: 'Orthogonal',
};

/** Suffixes of fields that hold an object with a class name. */
const objectFields = /_(initializer|regularizer|constraint)$|^(initializer|regularizer|constraint)$/;

/** Changes `layer.config` in place. */
export function convertFields(layer: LayerConfig, file: KerasFile, refuse: Refuse): void {
  const { config } = layer;
  for (const { field, neutral, of } of ignored) {
    const value = config[field];
    const concerns = of === undefined || of === layer.class_name;
    if (!concerns || value === undefined || value === null || neutral.includes(value)) continue;
    const expected = neutral.length > 0 ? JSON.stringify(neutral[0]) : 'none';
    refuse(field, `expected ${expected}, since tfjs ignores it, got ${JSON.stringify(value)}`);
  }
  // Keras sets it in every Bidirectional layer, also without masks.
  if (config['zero_output_for_mask'] === true && file.hasMasks)
    refuse('zero_output_for_mask', 'expected false in a model with masks, since tfjs ignores it, got true');
  convertDtype(config, refuse);
  convertShape(config);
  if (layer.class_name === 'LeakyReLU' && typeof config['negative_slope'] === 'number') {
    config['alpha'] = config['negative_slope'];
    delete config['negative_slope'];
  }
  if (layer.class_name === 'BatchNormalization' || layer.class_name === 'Softmax')
    convertAxis(config, refuse);
  for (const [field, value] of Object.entries(config)) {
    if (field === 'activation' || field === 'recurrent_activation')
      config[field] = activation(field, value, file, refuse);
    else if (objectFields.test(field)) config[field] = objectOf(field, value, file, refuse);
  }
  // The other direction of a Bidirectional layer is a copy of the first one in tfjs.
  delete config['backward_layer'];
}

function convertDtype(config: JsonObject, refuse: Refuse): void {
  const { dtype } = config;
  if (typeof dtype !== 'object' || dtype === null) {
    if (typeof dtype === 'string' && dtype.startsWith('mixed_'))
      refuse('dtype', `expected float32, got "${dtype}"`);
    return;
  }
  const { config: policy } = dtype as { config?: { name?: unknown } };
  if (!policies.includes(policy?.name))
    refuse('dtype', `expected the policy float32, got ${JSON.stringify(policy?.name)}`);
  config['dtype'] = policy?.name;
}

function convertShape(config: JsonObject): void {
  if (config['batch_shape'] !== undefined && config['batch_input_shape'] === undefined)
    config['batch_input_shape'] = config['batch_shape'];
  delete config['batch_shape'];
}

/** Keras writes the axis of a normalization as a number or as a list with one. */
function convertAxis(config: JsonObject, refuse: Refuse): void {
  const { axis } = config;
  if (!Array.isArray(axis)) return;
  if (axis.length !== 1) refuse('axis', `expected one axis, got ${JSON.stringify(axis)}`);
  config['axis'] = axis[0] as unknown;
}

function activation(field: string, value: unknown, file: KerasFile, refuse: Refuse): unknown {
  if (value === null || value === undefined) return value;
  const name = typeof value === 'string' ? (renamed[value] ?? value) : undefined;
  if (name === undefined || !(file.knows(name) || file.knows(camelCase(name))))
    return refuse(field, `tfjs has no activation ${JSON.stringify(value)}`);
  if (file.isKeras3 && name === 'hard_sigmoid')
    refuse(field, "Keras 3's hard_sigmoid has the slope 1/6, that of tfjs 0.2");
  return name;
}

/** Converts an initializer, a regularizer or a constraint. */
function objectOf(field: string, value: unknown, file: KerasFile, refuse: Refuse): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { class_name, config } = value as { class_name?: unknown; config?: JsonObject };
  if (typeof class_name !== 'string') return value;
  const own = { ...config };
  // Initial values are replaced by those of the file.
  if ('seed' in own) own['seed'] = null;
  if (class_name === 'L1' || class_name === 'L2')
    return { class_name: 'L1L2', config: { l1: own['l1'] ?? 0, l2: own['l2'] ?? 0 } };
  const name = renamed[class_name] ?? class_name;
  if (!file.knows(name)) refuse(field, `tfjs has no ${JSON.stringify(class_name)}`);
  return { class_name: name, config: own };
}

function camelCase(name: string): string {
  return name.replaceAll(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());
}
