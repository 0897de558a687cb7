/**
 * The metadata of a configuration field, stored beside its schema in a zod registry. The command line, the environment
 * variables, the help texts, the table in docs/configuration.md and the check of a resumed run are derived from it.
 */

import { z } from 'zod';

export interface ResumeRule {
  /** The changes that are refused, for the documentation, e.g. `fixed: on or off`. */
  readonly description: string;
  /** Returns the reason why the change is refused; undefined if it takes effect. Both are valid values of the field. */
  readonly refusal: (before: unknown, now: unknown) => string | undefined;
}

export interface FieldMetadata {
  /** Noun phrase in plain English, without a full stop. */
  readonly description: string;
  /** Flag of `train` and `coordinator`, e.g. `--batch-size <n>`. A field without one is set in the training definition. */
  readonly flag?: string;
  /** Environment variable that sets the field, e.g. `LOCKSTEP_WORKERS`. */
  readonly environment?: string;
  /** Unit of the value, e.g. `ms`. */
  readonly unit?: string;
  /** Description of the default if the schema's default is null, e.g. `one per GPU, or 2 on CPU`. */
  readonly defaultText?: string;
  /**
   * The effect of a value that differs from that of the checkpoint from which a run resumes. `free`: it takes effect, and the change
   * is logged. `fixed`: it is refused. A rule refuses some changes.
   */
  readonly resume: 'free' | 'fixed' | ResumeRule;
}

/** Metadata of every field of `runConfigSchema`, by the field's schema. */
export const fieldMetadata = z.registry<FieldMetadata>();
