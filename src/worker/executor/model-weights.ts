/**
 * A model's weights, each once, and a unique name for each: its path. tfjs names a weight after its layer alone, so two blocks with a
 * layer `fc` each have two weights `fc/kernel`. A layer whose name no other layer with weights has keeps tfjs's names. Every other one
 * is named after the models and wrappers that contain it: `b1/fc/kernel`, `b2/fc/kernel`.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ModelError } from '../../shared/errors.js';
import { fieldsOf, type Layer, type LayerVariable } from './layer.js';

/** A layer that computes something itself, and where it is. */
export interface PlacedLayer {
  readonly layer: Layer;
  /** Names of the models and wrappers around it, each followed by `/`; the outermost model is left out. */
  readonly prefix: string;
  /** The outermost wrapper around it, if there is one. */
  readonly wrapper: Layer | undefined;
}

interface Nesting {
  /** The layers of a model. */
  readonly layers?: readonly Layer[];
  /** The input layers of a model. */
  readonly inputLayers?: readonly Layer[];
  /** The layer in a wrapper, such as TimeDistributed. */
  readonly layer?: Layer;
}

/** A weight with the members of tfjs's LayerVariable that free it. */
interface DisposableWeight {
  readonly val: { readonly isDisposed: boolean };
  dispose(): void;
}

/** Returns true for a model, which may also take the place of a layer. */
export function isContainer(layer: Layer): boolean {
  const { layers, inputLayers } = fieldsOf<Nesting>(layer);
  return Array.isArray(layers) && Array.isArray(inputLayers);
}

/** Returns the model inside a wrapper such as TimeDistributed; undefined if the layer is no wrapper of a model. */
export function wrappedModel(layer: Layer): Layer | undefined {
  const { layer: inner } = fieldsOf<Nesting>(layer);
  if (typeof inner !== 'object' || isContainer(layer)) return undefined;
  return isContainer(inner) ? inner : wrappedModel(inner);
}

/** Returns the layers of a model. */
export function layersOf(container: Layer): readonly Layer[] {
  return fieldsOf<Nesting>(container).layers ?? [];
}

/**
 * Returns every place of every layer, in the order of the models: a layer that is shared has several. Nested models are
 * dissolved; a wrapper of a model is followed by the layers of that model.
 */
export function placesOf(model: LayersModel): PlacedLayer[] {
  const places: PlacedLayer[] = [];
  const visit = (container: Layer, prefix: string, wrapper: Layer | undefined): void => {
    for (const layer of layersOf(container)) {
      if (isContainer(layer)) {
        visit(layer, `${prefix}${layer.name}/`, wrapper);
        continue;
      }
      places.push({ layer, prefix, wrapper });
      const inner = wrappedModel(layer);
      if (inner) visit(inner, `${prefix}${layer.name}/${inner.name}/`, wrapper ?? layer);
    }
  };
  visit(model, '', undefined);
  return places;
}

/** Returns every layer with the place where it is found first. */
function placedLayers(model: LayersModel): PlacedLayer[] {
  const placed = new Map<Layer, PlacedLayer>();
  for (const place of placesOf(model)) if (!placed.has(place.layer)) placed.set(place.layer, place);
  return [...placed.values()];
}

/** Returns the model's weights in tfjs's order, each once, also if its layer is added to the model several times. */
export function weightsOf(model: LayersModel): readonly LayerVariable[] {
  return [...new Set(model.weights)];
}

/**
 * Returns a unique name for each layer of the model, nested models dissolved: its own name where that is unique among the layers
 * with weights, else its path. A layer without weights gives way to one that has some.
 */
export function layerPaths(model: LayersModel): ReadonlyMap<Layer, string> {
  const placed = placedLayers(model);
  const sameName = new Map<string, PlacedLayer[]>();
  for (const place of placed)
    sameName.set(place.layer.name, [...(sameName.get(place.layer.name) ?? []), place]);
  const keepsName = ({ layer, prefix }: PlacedLayer): boolean => {
    const rivals = sameName.get(layer.name) ?? [];
    if (rivals.length === 1 || prefix === '') return true;
    return hasWeights(layer) && rivals.filter((rival) => hasWeights(rival.layer)).length === 1;
  };
  const names = new UniqueNames();
  const paths = new Map<Layer, string>();
  const inTurn = [...placed.filter(keepsName), ...placed.filter((place) => !keepsName(place))];
  // Weights keep their names before layers without weights do.
  for (const withWeights of [true, false]) {
    for (const place of inTurn) {
      if (hasWeights(place.layer) !== withWeights) continue;
      const { layer, prefix } = place;
      paths.set(layer, names.take(keepsName(place) ? layer.name : `${prefix}${layer.name}`));
    }
  }
  return paths;
}

/** Frees the model's weights. tfjs's own dispose fails for a layer that is used both by itself and in TimeDistributed. */
export function disposeModel(model: LayersModel): void {
  for (const weight of weightsOf(model) as unknown as DisposableWeight[])
    if (!weight.val.isDisposed) weight.dispose();
}

/** Returns the unique name of each weight, in the order of `weightsOf`. */
export function weightPaths(model: LayersModel): readonly string[] {
  const paths = layerPaths(model);
  const wanted = new Map<LayerVariable, string>();
  // A wrapper of a model is before its inner layers, which own the weights.
  for (const { layer } of placedLayers(model).reverse()) {
    const path = paths.get(layer) ?? layer.name;
    for (const variable of ownWeights(layer)) {
      if (wanted.has(variable)) continue;
      const { originalName } = variable;
      const isScoped = originalName.startsWith(`${layer.name}/`);
      // A layer that was built before it was called has weights without its name; in a model that is opened they have it.
      wanted.set(variable, `${path}/${isScoped ? originalName.slice(layer.name.length + 1) : originalName}`);
    }
  }
  return uniqueNames(weightsOf(model).map((variable) => wanted.get(variable) ?? variable.originalName));
}

/**
 * @throws ModelError for a model whose weights a saved model cannot hold: two layers share a weight, and one of them is a wrapper
 * around the other, or is inside of one
 */
export function checkSavable(model: LayersModel): void {
  const owners = new Map<LayerVariable, PlacedLayer>();
  for (const place of placesOf(model)) {
    const { layer, wrapper } = place;
    if (wrappedModel(layer)) continue;
    const owner = ownWeights(layer).flatMap((variable) => owners.get(variable) ?? [])[0];
    if (owner && (owner.layer !== layer || owner.wrapper !== wrapper)) {
      const name = (at: PlacedLayer): string => `"${at.prefix}${at.layer.name}" (${at.layer.getClassName()})`;
      throw new ModelError(
        `Model "${model.name}": layer ${name(place)} shares weights with layer ${name(owner)} through a wrapper, which a saved ` +
          'model cannot express: its weights would be separate when it is opened. Give each of them a layer of its own.',
      );
    }
    for (const variable of ownWeights(layer)) owners.set(variable, place);
  }
}

/**
 * Returns the layers that have two weights of one name: layers of the user's own with layers inside. tf.loadLayersModel opens no model
 * with them.
 */
export function ambiguousLayers(model: LayersModel): readonly Layer[] {
  return placedLayers(model)
    .filter(({ layer }) => {
      const names = ownWeights(layer).map(({ originalName }) => originalName);
      return !wrappedModel(layer) && new Set(names).size < new Set(ownWeights(layer)).size;
    })
    .map(({ layer }) => layer);
}

function hasWeights(layer: Layer): boolean {
  return ownWeights(layer).length > 0;
}

function ownWeights(layer: Layer): readonly LayerVariable[] {
  return layer.weights;
}

/** Makes names unique: a second `w` becomes `w_1`. */
export class UniqueNames {
  readonly #taken = new Set<string>();

  take(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#taken.has(name); i++) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }
}

/** Makes each name unique. A name that occurs once is kept. */
function uniqueNames(wanted: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of wanted) counts.set(name, (counts.get(name) ?? 0) + 1);
  const names = new UniqueNames();
  for (const [name, count] of counts) if (count === 1) names.take(name);
  return wanted.map((name) => (counts.get(name) === 1 ? name : names.take(name)));
}
