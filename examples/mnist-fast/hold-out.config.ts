/** For choosing: 5000 pictures of the training set are held out and take the test set's place, which is not looked at. */

import { defineTraining, holdOut, idx } from 'lockstep';
import { recipe } from './recipe.js';

export default defineTraining({
  name: 'mnist-fast-hold-out',
  ...recipe,
  data: holdOut(idx(), { count: 5000 }),
});
