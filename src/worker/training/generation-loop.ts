/**
 * Trains across generations. In each generation a worker connects to the others and receives the training state if it is behind. It then
 * trains until the run or the generation ends. The end of a generation aborts the step in flight. An aborted step has changed nothing, and
 * the next generation computes it again.
 */

import { DivergedError, invariant } from '../../shared/errors.js';
import { maxLayers } from '../../shared/model/model-layer.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { GenerationEnded } from '../communicator/generation-ended.js';
import { disposeModel } from '../executor/model-weights.js';
import { topologyOf } from '../model-files/topology.js';
import { finishRun } from './finish-run.js';
import type { GenerationContext } from './generation-context.js';
import { joinGeneration } from './join-generation.js';
import { ownPlan } from './own-plan.js';
import { shareState } from './share-state.js';
import { trainSteps } from './train-steps.js';
import type { Progress, TrainingSession } from './training-session.js';

/**
 * Resolves when the run has finished. Disposes the replica's model and the training state.
 * @throws the error that ended the run, if it did not finish
 */
export async function trainGenerations(session: TrainingSession): Promise<void> {
  const { replica, communicator, mailbox, checkpoints, faults } = session;
  const progress: Progress = { step: 0, state: undefined, out: null, topologySent: false };
  try {
    for (;;) {
      try {
        const message = await mailbox.receive('plan', 'checkpoint');
        if (message.type === 'checkpoint') {
          if (progress.state) await checkpoints.write(progress.step, progress.state, message.directory);
          continue;
        }
        await trainGeneration(session, ownPlan(message.plan, session.workerId), progress);
        return;
      } catch (error) {
        // A checkpoint that is being written has finite weights. The run can be continued from this checkpoint, so the checkpoint is
        // completed.
        if (error instanceof DivergedError) await checkpoints.settled();
        if (!(error instanceof GenerationEnded)) throw error;
        mailbox.acknowledge(error.generation);
        faults?.faultPointHit('generation-ended', progress.step);
        communicator.send({ type: 'last_committed', generation: error.generation, step: progress.step });
      }
    }
  } finally {
    await checkpoints.close();
    progress.state?.dispose();
    disposeModel(replica.model);
  }
}

/** Resolves when the run has finished. @throws GenerationEnded if another generation follows */
async function trainGeneration(session: TrainingSession, plan: Plan, progress: Progress): Promise<void> {
  const { replica, communicator, mailbox, faults, checkpoints } = session;
  const { rank, generation, restore } = plan;
  progress.out = plan.out;
  // Compares the checkpoint with the present data and model. A difference ends the run as a usage error, before the training starts.
  if (restore !== null && rank === plan.source) await mailbox.during(checkpoints.check(plan.step, restore));
  const sharesMemory = await communicator.join(plan);
  faults?.joinedGeneration({ rank, worldSize: plan.workers.length });
  faults?.faultPointHit('peers-connected', progress.step);
  const context = joinGeneration(replica, communicator, plan, progress.state, {
    onFaultPoint: faults?.faultPointHit,
    bitFlip: session.bitFlip,
  });
  progress.state = context.state;
  communicator.send({ type: 'connected', generation, sharesMemory });
  communicator.begin((await mailbox.receive('start_generation')).sharesMemory);
  try {
    await synchronize(session, context, plan, progress);
    if (rank === 0) sendTopology(context, plan, progress);
    await trainSteps(session, context, plan, progress);
  } finally {
    context.ledger?.flush();
    context.tracer?.flush();
  }
  await finishRun(session, context, plan, progress);
}

/** Makes this worker's training state equal to that of the plan's source, bit for bit. */
async function synchronize(
  { checkpoints, mailbox }: TrainingSession,
  context: GenerationContext,
  { step, source, rank, restore }: Plan,
  progress: Progress,
): Promise<void> {
  const { state } = context;
  if (restore !== null && rank === source) progress.step = await mailbox.during(checkpoints.restore(state));
  if (source === null) {
    invariant(
      step === progress.step,
      `the plan continues after step ${step}, and this worker is at step ${progress.step}`,
    );
    return;
  }
  shareState(context, step, { isSource: rank === source, restores: progress.step !== step });
  progress.step = step;
}

function sendTopology(
  { replica, communicator }: Pick<GenerationContext, 'replica' | 'communicator'>,
  { generation }: Plan,
  progress: Progress,
): void {
  if (progress.topologySent) return;
  progress.topologySent = true;
  const layers = topologyOf(replica.model);
  if (layers.length <= maxLayers) communicator.send({ type: 'model', generation, layers });
}
