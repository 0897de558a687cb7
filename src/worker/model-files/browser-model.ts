/** Decides whether tfjs in a browser can open a saved model by itself. */

import { layerClasses } from '../import/keras-topology.js';
import { requireJavaScript } from '../engine/native.js';
import type { ModelFiles } from './load-model.js';

/** Returns false for a model with layers of the user's own, and for one that Keras and not tfjs wrote. */
export function opensInBrowser({ artifacts }: ModelFiles): boolean {
  const topology = artifacts.modelTopology as Readonly<Record<string, unknown>>;
  const version = topology['keras_version'];
  if (typeof version === 'string' && !version.startsWith('tfjs')) return false;
  const { classNameMap } = requireJavaScript().serialization.SerializationMap.getMap();
  return layerClasses(topology).every((name) => Object.hasOwn(classNameMap, name));
}
