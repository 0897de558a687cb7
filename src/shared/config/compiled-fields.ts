/** The fields of the configuration that `model.compile` of a definition can choose, and their comparison when a run resumes. */

import type { z } from 'zod';
import { compareConfigs, type ConfigComparison } from './resume-policy.js';
import { resolvedConfigSchema, type ResolvedConfig } from './run-config.js';

export const compiledFieldsSchema = resolvedConfigSchema.pick({
  optimizer: true,
  schedule: true,
  loss: true,
  metrics: true,
});

export type CompiledFields = Readonly<z.infer<typeof compiledFieldsSchema>>;

export function compiledFieldsOf({ optimizer, schedule, loss, metrics }: ResolvedConfig): CompiledFields {
  return { optimizer, schedule, loss, metrics };
}

/** Compares the fields with which a checkpoint was trained with those of the run that resumes from it. */
export function compareCompiled(
  before: CompiledFields,
  now: CompiledFields,
  config: ResolvedConfig,
): ConfigComparison {
  return compareConfigs({ ...config, ...before }, { ...config, ...now });
}
