/**
 * Builds the objects that a worker uses during one generation. Only the replica and the training state are kept for the next generation.
 */

import { invariant } from '../../shared/errors.js';
import type { Plan } from '../../shared/protocol/messages.js';
import type { Communicator } from '../communicator/communicator.js';
import { openSamples } from '../data/open-samples.js';
import { Executor } from '../executor/executor.js';
import { GradientBuckets, flatten } from '../executor/gradient-buckets.js';
import { Regularization } from '../optimizer/regularization.js';
import { openInstruments } from '../timing/instruments.js';
import type { GenerationContext, GenerationFaults } from './generation-context.js';
import { gradientHooks, openLedger } from './gradient-hooks.js';
import { openHistograms } from './histograms.js';
import { registerCollectives } from './register-collectives.js';
import type { Replica } from './replica.js';
import { TrainingState } from './training-state.js';

export type GenerationPlan = Pick<Plan, 'rank' | 'workers' | 'generation'>;

/**
 * Builds the context of a generation that `communicator` has joined. The ids of collectives follow from the order in which they are
 * registered, so this order must be the same on every worker.
 * @param previous the training state of the previous generation; undefined: a new state is built from the model's weights
 */
export function joinGeneration(
  replica: Replica,
  communicator: Communicator,
  plan: GenerationPlan,
  previous?: TrainingState,
  { onFaultPoint, bitFlip }: GenerationFaults = {},
): GenerationContext {
  const { engine, kernels, config, model, layout } = replica;
  const { tf } = engine;
  const localShards = plan.workers[plan.rank]?.shards;
  invariant(localShards, `rank ${plan.rank} is not in the plan`);
  const { clock, tracer, measure, registrar } = openInstruments(communicator, config.trace, onFaultPoint);

  const executor = new Executor({
    tf,
    kernels,
    model,
    communicator: registrar,
    seed: config.seed,
    frozenBatchNorm: config.frozenBatchNorm,
    arithmetic: config.arithmetic,
    logits: replica.objective.logits,
    measure,
  });
  const parameters = flatten(layout, executor.backwardOrder);
  // The memory of a large model takes seconds to fill. Each part is progress, so that no timeout depends on the size.
  communicator.tick();
  const state = previous ?? new TrainingState(replica, parameters, () => communicator.tick());
  const ledger = openLedger(replica, communicator, plan, parameters, localShards.start);
  const hooks = gradientHooks(replica, ledger, localShards, bitFlip);
  const buckets = new GradientBuckets(registrar, parameters, executor.uses, config, hooks);
  communicator.tick();
  const { sampler, reader } = openSamples(replica);

  return {
    replica,
    communicator,
    executor,
    state,
    buckets,
    regularization: Regularization.of(tf, model, parameters),
    sampler,
    reader,
    ledger,
    tracer,
    clock,
    measure,
    onFaultPoint,
    histograms: openHistograms(replica, communicator, plan, parameters, sampler.stepsPerEpoch),
    localShards,
    ...registerCollectives(registrar, replica, state.schedulerState.size),
  };
}
