/** The recipe as it is reported: trained on all of MNIST's training set, tested on its test set. */

import { defineTraining } from 'lockstep';
import { recipe } from './recipe.js';

export default defineTraining({ name: 'mnist-fast', ...recipe });
