//! The files that `install` installs: the manual, and completion for each shell.

/// The manual of `git help flux`.
pub(crate) const MANUAL: &str = include_str!("../man/git-flux.1");

/// bash: `git flux`, with git's own completion, and `git-flux`.
pub(crate) const BASH: &str = include_str!("../completions/git-flux");

/// zsh: `git-flux`, and `git flux` with the `_git` that comes with zsh.
pub(crate) const ZSH: &str = include_str!("../completions/zsh/_git-flux");

/// zsh: `git flux` with the `_git` that comes with git.
pub(crate) const ZSH_BELOW_GIT: &str = include_str!("../completions/zsh/_git_flux");

/// fish: `git-flux`.
pub(crate) const FISH: &str = include_str!("../completions/fish/completions/git-flux.fish");

/// fish: `git flux`.
pub(crate) const FISH_BELOW_GIT: &str = include_str!("../completions/fish/conf.d/git-flux.fish");
