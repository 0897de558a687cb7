/** The stages of the check, in order. Their time limits sum to less than five minutes. */

import type { Stage } from './stage.js';
import { adapterStage } from './stages/adapter.js';
import { bitsStage } from './stages/bits.js';
import { epochStage } from './stages/epoch.js';
import { kernelsStage } from './stages/kernels.js';
import { memoryStage } from './stages/memory.js';
import { oracleStage } from './stages/oracle.js';
import { pytorchStage } from './stages/pytorch.js';
import { recoverStage } from './stages/recover.js';

export const stages: readonly Stage[] = [
  adapterStage,
  oracleStage,
  bitsStage,
  recoverStage,
  epochStage,
  pytorchStage,
  memoryStage,
  kernelsStage,
];
