// What kind of thing a word names that may be a file, a URL or a repository.

/** True for a source of ADD that is a git repository: `git@host:path`, `ssh://`, `git://`, or an http URL that ends in `.git`. */
export function isGitSource(word: string): boolean {
  return /^[\w-]+@[\w.-]+:/.test(word) || /^(?:git|ssh):\/\//.test(word) || /^https?:\/\/[^?#]+\.git(?:[?#]|$)/.test(word);
}

/** The same for a context, where `github.com/owner/name` is a repository too. */
export function isGitContext(place: string): boolean {
  return isGitSource(place) || /^github\.com\/[^/]+\/[^/]/.test(place);
}

/** True for an http or https URL that is not a repository. */
export function isUrlSource(word: string): boolean {
  return /^https?:\/\//.test(word) && !isGitSource(word);
}
