/** The trainings of the stages. LOCKSTEP_CHECK names them: the network, and after a comma `gradient` for one step of plain SGD. */

import { defineTraining } from 'lockstep';
import recipe from '../../examples/mnist/lockstep.config.js';
import { smallNet } from './small-net.js';

const [network, purpose] = (process.env['LOCKSTEP_CHECK'] ?? '').split(',');

/** With this rate, the weights after one step are the gradients to 7 digits, because the weights before it are smaller by far. */
const learningRate = 2 ** 20;

export default defineTraining({
  ...recipe,
  ...(network === 'small' ? { model: smallNet } : {}),
  ...(purpose === 'gradient'
    ? { optimizer: { kind: 'sgd' as const, learningRate }, evaluate: 'none' as const }
    : {}),
});
