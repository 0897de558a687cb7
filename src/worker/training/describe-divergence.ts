/** Describes a divergence: the step, the shard, the value that was not finite, and advice for the cause. */

import type { BatchPlan } from '../../shared/data/sampler.js';
import { lossOfOutputs } from '../../shared/config/loss-config.js';
import { DivergedError } from '../../shared/errors.js';
import { outputNames } from '../objective/objective.js';
import { reducedRate } from '../optimizer/evaluation-decisions.js';
import { learningRateAt } from '../optimizer/schedule.js';
import type { Cause, Finding } from './diagnosis-key.js';
import type { TrainStepContext } from './generation-context.js';

type DescribedContext = Pick<TrainStepContext, 'replica' | 'sampler' | 'state'>;

/** @param layers names of the layers in forward order */
export function describeDivergence(
  context: DescribedContext,
  batch: BatchPlan,
  loss: number,
  finding: Finding,
  layers: readonly string[],
): DivergedError {
  const { step } = batch;
  const { cause, index, shard, microBatch } = finding;
  const { replica, state, sampler } = context;
  const isOfShard = cause !== 'weight' && cause !== 'sum';
  const place = isOfShard ? `shard ${shard}` : '';
  const ofMicroBatch = isOfShard && replica.config.accumulate > 1 ? `micro-batch ${microBatch + 1}` : '';
  const where = [`step ${step}`, place, ofMicroBatch, `loss ${loss}`]
    .filter((text) => text !== '')
    .join(', ');
  const isSample = cause === 'input' || cause === 'target';
  const sample = isSample ? sampler.indices(batch, { start: index, end: index + 1 })[0] : undefined;
  const weight = cause === 'gradient' ? state.optimizer.parameters[index]?.weight : index;
  const name = cause === 'output' ? layers[index] : replica.layout[weight ?? -1]?.name;
  const subject: Readonly<Record<Cause, string>> = {
    input: `a finite input of sample ${sample} of the training set`,
    target: `a finite target of sample ${sample} of the training set`,
    weight: `finite weights "${name}"`,
    output: `a finite output of layer "${name}"`,
    loss: 'a finite loss of finite predictions',
    lossGradient: 'a finite gradient of the loss by the predictions',
    gradient: `a finite gradient of "${name}"`,
    sum: 'a finite sum of the gradients of all shards and the penalties of regularizers',
  };
  return new DivergedError(
    `Training diverged: expected ${subject[cause]}, got NaN or infinity (${where}). ${advice(context, batch, finding)}`,
    { step, cause, ...(isOfShard ? { shard } : {}), ...(isSample ? { sample } : { name }) },
  );
}

function advice({ replica, state, sampler }: DescribedContext, batch: BatchPlan, { cause }: Finding): string {
  const { config } = replica;
  const rateOf = (step: number): string => {
    const position = { ...sampler.plan(step), stepsPerEpoch: sampler.stepsPerEpoch };
    return String(learningRateAt(config, position, reducedRate(state.schedulerState)));
  };
  const before = rateOf(Math.max(1, batch.step - 1));
  const losses = lossOfOutputs(config.loss, outputNames(replica.model));
  const isCustom = losses.some((loss) => loss?.kind === 'custom');
  const precision = config.precision === 'bfloat16' ? ' Compare with --precision float32.' : '';
  const lower = `Lower the learning rate (now ${before})`;
  switch (cause) {
    case 'input':
    case 'target':
      return 'Correct the sample, or the augmentation that changed it.';
    case 'weight':
      return `The update of step ${batch.step - 1} was too large. ${lower}, or limit the gradient with clipNorm.`;
    case 'output':
      return (
        `Its weights and the samples are finite, so its values are too large, or a layer of your own divides by zero. ` +
        `${lower}, or scale the data.${precision}`
      );
    case 'loss':
    case 'lossGradient':
      return isCustom
        ? "Guard the logarithms, divisions and roots of the definition's loss, e.g. tf.log(tf.add(x, 1e-7))."
        : `The predictions are too far from the targets. ${lower}, or scale the targets.${precision}`;
    case 'gradient':
      return (
        `The outputs of all layers and the loss are finite. A root, a norm or a division has no finite gradient there, or the ` +
        `gradient is too large: guard the operation, or lower the learning rate (now ${before}).${precision}`
      );
    case 'sum':
      return `${lower}, or the factor of the regularizer.${precision}`;
  }
}
