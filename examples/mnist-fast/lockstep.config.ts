/** The reported configuration: trains on MNIST's whole training set and evaluates on its test set. */

import { defineTraining } from 'lockstep';
import { recipe } from './recipe.js';

export default defineTraining({ name: 'mnist-fast', ...recipe });
