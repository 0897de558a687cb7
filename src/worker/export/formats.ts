/** The export formats by their names on the command line. This module loads nothing. */

export const exportFormats = ['tfjs', 'safetensors', 'onnx', 'savedmodel'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Names of the exports in a run's folder. */
export const exportNames: Readonly<Record<ExportFormat, string>> = {
  tfjs: 'tfjs',
  safetensors: 'model.safetensors',
  onnx: 'model.onnx',
  savedmodel: 'saved_model',
};

/** Conventions for names and dimension order in a safetensors file. */
export const weightLayouts = ['tfjs', 'pytorch'] as const;
export type WeightLayout = (typeof weightLayouts)[number];
