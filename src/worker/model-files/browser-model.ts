/** Decides whether tfjs in a browser can open a saved model by itself. */

import { isKeras, layerClasses } from '../import/keras-topology.js';
import { requireTfjs } from '../engine/tfjs.js';
import { isRegistered, type ModelFiles } from './load-model.js';

/** Returns false for a model with layers of the user's own, and for one that Keras and not tfjs wrote. */
export function opensInBrowser({ artifacts }: ModelFiles): boolean {
  const topology = artifacts.modelTopology as object;
  if (isKeras(topology)) return false;
  const tf = requireTfjs();
  return layerClasses(topology).every((name) => isRegistered(tf, name));
}
