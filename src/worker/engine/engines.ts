/** The table of all tensor engines. Code that treats engines differently asks this table and never compares names. */

import type { EngineKind } from '../../shared/config/engine-kinds.js';
import type { EngineDefinition } from './engine.js';
import { javascript } from './javascript.js';
import { tensorflow } from './tensorflow.js';
import { wasm } from './wasm.js';
import { webgpu } from './webgpu/webgpu.js';

export const engines: Readonly<Record<EngineKind, EngineDefinition>> = {
  tensorflow,
  wasm,
  js: javascript,
  webgpu,
};
