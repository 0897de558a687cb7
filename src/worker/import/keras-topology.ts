/**
 * Converts the topology of a model.json to the form that tfjs reads. Converters write Keras's own JSON, and Keras 3 changed it:
 * `batch_shape`, dtype policies, and calls with `__keras_tensor__`. tfjs ignores fields that it does not have; where that would change
 * the result, the model is refused with the layer and the field.
 */

import { ModelError } from '../../shared/errors.js';
import type { LayerConfig, ModelConfig, TensorReference } from '../model-files/layer-config.js';
import { convertCalls, type AnyCall } from './keras-calls.js';
import { convertFields } from './keras-fields.js';
import type { JsonObject, KerasFile, Refuse } from './keras-file.js';

/**
 * Returns a converted copy of `modelTopology`. A topology that tfjs wrote stays as it is.
 * @throws ModelError naming the layer and the field that cannot be converted
 */
export function convertKeras(
  modelTopology: object,
  { file, knows }: Pick<KerasFile, 'file' | 'knows'>,
): object {
  const copy = structuredClone(modelTopology) as JsonObject;
  const model = modelOf(copy);
  if (!model) return copy;
  const isKeras3 = isKeras3Topology(copy);
  convertModel(model, { file, isKeras: isKeras(copy), isKeras3, hasMasks: masks(model), knows });
  return copy;
}

/** Returns true if Keras, and not tfjs, wrote the topology. */
export function isKeras(modelTopology: object): boolean {
  const version = (modelTopology as JsonObject)['keras_version'];
  return isKeras3Topology(modelTopology) || (typeof version === 'string' && !version.startsWith('tfjs'));
}

function isKeras3Topology(modelTopology: object): boolean {
  const version = (modelTopology as JsonObject)['keras_version'];
  if (typeof version === 'string') return version.startsWith('3');
  const model = modelOf(modelTopology);
  return model !== undefined && 'module' in model;
}

/** Returns the JSON of the topology's model; undefined if it has none. */
function modelOf(modelTopology: object): LayerConfig | undefined {
  const topology = modelTopology as JsonObject;
  const model = (topology['model_config'] ?? topology) as LayerConfig;
  return typeof model.config === 'object' && isModel(model) ? model : undefined;
}

/** Returns true for the JSON of a model, which may also take the place of a layer. */
function isModel({ config }: LayerConfig): boolean {
  return Array.isArray(config.layers);
}

/** Returns the classes of the layers of a topology, nested ones included. */
export function layerClasses(modelTopology: object): string[] {
  const classes = ({ class_name, config }: LayerConfig): string[] => [
    class_name,
    ...(config.layers ?? []).flatMap(classes),
    ...(config.layer ? classes(config.layer) : []),
  ];
  return (modelOf(modelTopology)?.config.layers ?? []).flatMap(classes);
}

function masks({ class_name, config }: LayerConfig): boolean {
  if (class_name === 'Masking' || config['mask_zero'] === true) return true;
  return [...(config.layers ?? []), ...(config.layer ? [config.layer] : [])].some(masks);
}

function convertModel(model: LayerConfig, file: KerasFile): void {
  const { config } = model;
  const layers = config.layers ?? [];
  for (const layer of layers) convertLayer(layer, file);
  if (config.input_layers === undefined) return;
  const nested = new Map(layers.map((layer) => [nameOf(layer), isModel(layer)]));
  config.input_layers = references(config.input_layers);
  config.output_layers = references(config.output_layers);
  for (const layer of layers) {
    const calls = (layer.inbound_nodes ?? []) as unknown as AnyCall[];
    layer.inbound_nodes = convertCalls(calls, layer, file, refuseOf(layer, file));
  }
  const every = [
    ...layers.flatMap(({ inbound_nodes = [] }) => inbound_nodes.flat()),
    ...config.output_layers,
  ];
  for (const reference of every) {
    const isNested = nested.get(reference[0]);
    if (isNested === undefined) {
      throw new ModelError(
        `Model ${file.file}: "${config.name ?? ''}" uses layer "${reference[0]}": expected a layer of this model, got none. ` +
          'Convert it again.',
        { file: file.file },
      );
    }
    // tfjs counts the construction of a nested model as its first call, Keras 3 does not.
    if (isNested && file.isKeras3) reference[1] += 1;
  }
}

function convertLayer(layer: LayerConfig, file: KerasFile): void {
  const refuse = refuseOf(layer, file);
  if (!file.knows(layer.class_name)) {
    refuse(
      'class_name',
      'tfjs has no such layer. If it is one of your own, give the training definition with --config, which must register it ' +
        '(tf.serialization.registerClass)',
    );
  }
  if (isModel(layer)) convertModel(layer, file);
  else convertFields(layer, file, refuse);
  const { layer: inner } = layer.config;
  if (!inner) return;
  convertLayer(inner, file);
  // Keras 3 writes the layer under the name that tfjs gives to its copy for the forward direction.
  const { name } = inner.config;
  if (file.isKeras3 && layer.class_name === 'Bidirectional' && name?.startsWith('forward_'))
    inner.config.name = name.slice('forward_'.length);
}

/** Returns the references to inputs or outputs as a list; Keras 3 writes one without a list, and several as any structure. */
function references(value: unknown): TensorReference[] {
  if (Array.isArray(value)) {
    if (typeof value[0] === 'string') return [[value[0], Number(value[1]), Number(value[2])]];
    return value.flatMap(references);
  }
  if (typeof value !== 'object' || value === null) return [];
  // Keras orders the entries of a dictionary by their keys.
  return Object.keys(value)
    .sort()
    .flatMap((key) => references((value as ModelConfig & JsonObject)[key]));
}

function nameOf({ name, config }: LayerConfig): string {
  return name ?? config.name ?? '';
}

function refuseOf(layer: LayerConfig, { file }: KerasFile): Refuse {
  return (field, problem) => {
    throw new ModelError(
      `Model ${file} can't be loaded: layer "${nameOf(layer)}" (${layer.class_name}), field "${field}": ${problem}.`,
      { file, layer: nameOf(layer), field },
    );
  };
}
