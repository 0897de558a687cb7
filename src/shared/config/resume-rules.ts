/** The rules of fields that a resumed run may change only as long as the training state keeps its form. */

import type { ResumeRule } from './field-metadata.js';
import { optimizerSchema } from './optimizer-config.js';
import { earlyStoppingSchema, scheduleSchema } from './schedule-config.js';

/** Adam and AdamW keep the same vectors between steps; SGD keeps one if it has a momentum. */
export const sameOptimizerState: ResumeRule = {
  description:
    'free; fixed: the kind (adam and adamw count as one), whether sgd or rmsprop has a momentum, whether rmsprop is centered, and its arithmetic',
  refusal: (before, now) => {
    const [then, next] = [optimizerStateOf(before), optimizerStateOf(now)];
    return then === next
      ? undefined
      : `the checkpoint has the state of ${then}, which can't become that of ${next}`;
  },
};

function optimizerStateOf(value: unknown): string {
  const optimizer = optimizerSchema.parse(value);
  const { kind } = optimizer;
  const momentum =
    'momentum' in optimizer ? (optimizer.momentum > 0 ? ' with momentum' : ' without momentum') : '';
  switch (kind) {
    case 'adamw':
      return 'adam';
    case 'rmsprop': {
      const rule = optimizer.arithmetic === 'tfjs' ? " by tfjs's rule" : '';
      return `${optimizer.centered ? 'centered ' : ''}rmsprop${momentum}${rule}`;
    }
    default:
      return `${kind}${momentum}`;
  }
}

/** The scheduler state of `plateau` holds the reduced rate and the best value of its metric. */
export const samePlateau: ResumeRule = {
  description: 'free; fixed: whether the kind is plateau, and the metric of plateau',
  refusal: (before, now) => {
    const [then, next] = [scheduleSchema.parse(before), scheduleSchema.parse(now)];
    if (then.kind === 'plateau' && next.kind === 'plateau') return otherMetric(then, next);
    return then.kind === 'plateau' || next.kind === 'plateau'
      ? 'the checkpoint has the state of its own schedule, and plateau keeps a state of other form'
      : undefined;
  },
};

export const sameEarlyStopping: ResumeRule = {
  description: 'free; fixed: whether it is on, and its metric',
  refusal: (before, now) =>
    before === null || now === null
      ? sameOnOrOff.refusal(before, now)
      : otherMetric(earlyStoppingSchema.parse(before), earlyStoppingSchema.parse(now)),
};

function otherMetric(
  before: { readonly metric: string; readonly mode: string },
  now: { readonly metric: string; readonly mode: string },
): string | undefined {
  return before.metric === now.metric && before.mode === now.mode
    ? undefined
    : 'the checkpoint has the best value of another metric';
}

/** The average is part of the training state. */
export const sameOnOrOff: ResumeRule = {
  description: 'free; fixed: whether it is on',
  refusal: (before, now) =>
    (before === null) === (now === null)
      ? undefined
      : `the checkpoint was written ${before === null ? 'without' : 'with'} it, so its state has another form`,
};
