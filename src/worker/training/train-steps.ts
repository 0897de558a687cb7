/** The training loop of one generation. */

import { totalSteps, type BatchPlan } from '../../shared/data/sampler.js';
import type { Plan } from '../../shared/protocol/messages.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import { hasStopped } from '../optimizer/evaluation-decisions.js';
import type { Interruptible } from '../mailbox.js';
import type { GenerationContext } from './generation-context.js';
import { LeakWatch } from './leak-watch.js';
import { ScheduledEvaluations } from './scheduled-evaluations.js';
import { activeShards, trainStep } from './train-step.js';
import type { Progress, TrainingSession } from './training-session.js';

/**
 * Trains from the step after `progress.step` until the last step of the run or until early stopping.
 * @throws GenerationEnded when the generation ends earlier. The replica is then in the state after `progress.step`.
 */
export async function trainSteps(
  { mailbox, checkpoints, faults, warn }: TrainingSession,
  context: GenerationContext,
  plan: Plan,
  progress: Progress,
): Promise<void> {
  const { sampler, reader, communicator, replica, tracer, state, clock } = context;
  const { config } = replica;
  const { generation, rank, writer } = plan;
  const lastStep = totalSteps(sampler.stepsPerEpoch, config.epochs, config.maxSteps);
  const evaluations = new ScheduledEvaluations(context, plan, lastStep, mailbox);
  const rangesOf = (batch: BatchPlan): Range[] => sampleRanges(context, batch);
  const leaks = new LeakWatch();

  // The previous generation may have ended between the commit of a step and the end of the evaluation after it.
  if (progress.step > 0) await evaluations.after(sampler.plan(progress.step));

  for (let step = progress.step + 1; step <= lastStep; step++) {
    if (hasStopped(config, state.schedulerState)) break;
    const batch = sampler.plan(step);
    if (batch.stepInEpoch === 1 && (await mayBegin(context, batch, mailbox)) === 'stop') break;
    const next = step < lastStep ? sampler.plan(step + 1) : undefined;
    await mailbox.during(reader.prepare(batch, next, rangesOf));

    const compute = (): ReturnType<typeof trainStep> => trainStep(context, batch);
    const { loss, learningRate, metrics } = clock.step(() =>
      tracer ? tracer.step(step, compute) : compute(),
    );
    progress.step = step;
    faults?.faultPointHit('commit', step);
    const leak = leaks.after(replica.engine.tf.memory().numTensors);
    if (leak !== undefined) warn(leak);
    const { times } = clock;
    communicator.send({
      type: 'committed',
      generation,
      step,
      epoch: batch.epoch + 1,
      loss,
      learningRate,
      times,
      ...(metrics && { metrics }),
    });

    if (rank === writer) {
      if (mailbox.takeCheckpointRequest()) checkpoints.request();
      checkpoints.after(step, sampler.stepsPerEpoch, state, progress.out);
    }
    await mailbox.yieldToEventLoop();
    await evaluations.after(batch);
    await faults?.afterStep(() => replica.engine.tf.memory().numTensors);
    if (mailbox.drainsAfter(step)) {
      communicator.send({ type: 'drained', generation, step });
      await mailbox.waitForEnd();
    }
  }
}

/** Interval between two questions for the permission to begin an epoch. */
const permissionMs = 3;

/** Waits for the permission to begin the epoch of `batch`, which a run of `fit` needs. The wait counts as progress. */
async function mayBegin(
  { replica: { hooks }, communicator }: GenerationContext,
  { epoch }: BatchPlan,
  mailbox: Interruptible,
): Promise<'begin' | 'stop'> {
  const { beforeEpoch } = hooks ?? {};
  if (epoch === 0 || beforeEpoch === undefined) return 'begin';
  for (;;) {
    const decision = beforeEpoch(epoch);
    if (decision !== 'wait') return decision;
    communicator.tick();
    await mailbox.during(new Promise<void>((resolve) => setTimeout(resolve, permissionMs)));
  }
}

/** The positions in the batch of the samples that this worker computes. */
function sampleRanges(context: GenerationContext, batch: BatchPlan): Range[] {
  return activeShards(context, batch)
    .flat()
    .map(({ start, count }) => ({ start, end: start + count }));
}
