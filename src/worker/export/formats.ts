/** The formats that a model can be exported in, by the names that the command line has for them. Loads nothing. */

export const exportFormats = ['tfjs', 'safetensors', 'onnx', 'savedmodel'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Whose names and orders a safetensors file has. */
export const weightLayouts = ['tfjs', 'pytorch'] as const;
export type WeightLayout = (typeof weightLayouts)[number];
