/** Variant for choosing hyperparameters: evaluates on 5000 images held out of the training set and never reads the test set. */

import { defineTraining, holdOut, idx } from 'lockstep';
import { recipe } from './recipe.js';

export default defineTraining({
  name: 'mnist-fast-hold-out',
  ...recipe,
  data: holdOut(idx(), { count: 5000 }),
});
