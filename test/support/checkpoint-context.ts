import type { CheckpointDescription } from '../../src/shared/checkpoint/manifest.js';
import type { ResolvedConfig } from '../../src/shared/config/run-config.js';

/** Returns the description of the run that a test writes into a checkpoint. The hashes belong to no real definition, model or data. */
export const checkpointContext = (config: ResolvedConfig): Omit<CheckpointDescription, 'step'> => ({
  runId: '00000000-0000-4000-8000-000000000000',
  config,
  definition: { path: '/config.ts', sha256: 'c'.repeat(64) },
  layoutHash: 'a'.repeat(64),
  dataSha256: 'd'.repeat(64),
  identity: null,
  compiled: null,
  preprocessing: null,
  origin: null,
});
