/** All model cases. */

import { composedModels } from './composed-models.js';
import { denseModels } from './dense-models.js';
import { maskedModels } from './masked-models.js';
import type { ModelCase } from './model-case.js';
import { pictureModels } from './picture-models.js';
import { preprocessingModels } from './preprocessing-models.js';
import { recurrentModels } from './recurrent-models.js';

export const modelCases: readonly ModelCase[] = [
  ...recurrentModels,
  ...maskedModels,
  ...pictureModels,
  ...composedModels,
  ...denseModels,
  ...preprocessingModels,
];
