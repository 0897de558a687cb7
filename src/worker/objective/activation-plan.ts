/** Decides for each output how its loss treats the activation of the model's last layer, and what the user is told about it. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { OutputLossConfig } from '../../shared/config/run-config.js';
import { ModelError } from '../../shared/errors.js';
import { finalActivations, separableOutputs } from '../executor/final-activation.js';
import { buildGraph } from '../executor/graph.js';

/**
 * `asIs`: the loss takes the model's output. `logits`: the loss takes the output without its activation, and contains it.
 * `probabilities`: the loss takes the logarithm of the output.
 */
export type OutputForm = 'asIs' | 'logits' | 'probabilities';

export interface PlannedOutput {
  readonly form: OutputForm;
  /** The activation of the layer that computes the output. */
  readonly activation: string;
}

export interface ActivationPlan {
  readonly outputs: readonly PlannedOutput[];
  /** One sentence for each output that is treated in a way that the loss's name does not say. */
  readonly notes: readonly string[];
}

/** The activation that a loss on logits contains. */
const contained: Readonly<Partial<Record<OutputLossConfig['kind'], string>>> = {
  softmaxCrossEntropy: 'softmax',
  binaryCrossEntropy: 'sigmoid',
};

/** Activations after which logits lack a part of their range. */
const bounded = [
  'relu',
  'relu6',
  'sigmoid',
  'hardSigmoid',
  'tanh',
  'softmax',
  'softplus',
  'softsign',
  'elu',
  'selu',
];

/**
 * @param names of the outputs
 * @throws ModelError for an activation under which the loss has no meaning
 */
export function planActivations(
  model: LayersModel,
  names: readonly string[],
  losses: readonly OutputLossConfig[],
): ActivationPlan {
  const activations = finalActivations(model);
  const needsPlan = losses.some(
    ({ kind }, i) => contained[kind] !== undefined && activations[i] !== 'linear',
  );
  const separable = needsPlan ? separableOutputs(buildGraph(model, true)) : [];
  const notes: string[] = [];
  const outputs = losses.map(({ kind }, i): PlannedOutput => {
    const activation = activations[i] ?? 'linear';
    const name = names[i] ?? '';
    const units = model.outputs[i]?.shape.at(-1);
    const expected = contained[kind];
    if (activation === 'softmax' && units === 1) {
      throw new ModelError(
        `Output "${name}": expected a softmax over several units, got one, which is always 1. ` +
          "Use the activation 'sigmoid' and the loss binaryCrossEntropy.",
      );
    }
    if (expected === undefined || activation === 'linear') return { form: 'asIs', activation };
    if (activation === expected && separable[i] === true) {
      notes.push(
        `Output "${name}": its activation ${activation} is computed within the loss ${kind}, which takes logits. ` +
          'The saved model keeps the activation.',
      );
      return { form: 'logits', activation };
    }
    if (activation === expected || (kind === 'binaryCrossEntropy' && activation === 'softmax')) {
      notes.push(
        `Output "${name}": the loss ${kind} is computed from the probabilities of its ${activation}.`,
      );
      return { form: 'probabilities', activation };
    }
    if (activation === 'sigmoid') {
      throw new ModelError(
        `Output "${name}": expected the activation softmax or none for the loss ${kind}, got sigmoid. ` +
          "Use the activation 'softmax' for one class of several, or the loss binaryCrossEntropy for independent ones.",
      );
    }
    if (bounded.includes(activation)) {
      notes.push(
        `Output "${name}": the loss ${kind} takes logits, and the activation ${activation} limits them. ` +
          `Leave it out, or use ${expected}.`,
      );
    }
    return { form: 'asIs', activation };
  });
  return { outputs, notes };
}
