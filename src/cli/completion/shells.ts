/** The shells with completion, and the command that installs it. */

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** Commands that install the completion, for the help and the documentation. */
export const installation: Readonly<Record<Shell, string>> = {
  bash: 'lockstep completion bash > ~/.local/share/bash-completion/completions/lockstep',
  zsh: 'lockstep completion zsh > "${fpath[1]}/_lockstep"',
  fish: 'lockstep completion fish > ~/.config/fish/completions/lockstep.fish',
};
