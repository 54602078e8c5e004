// What a download is called, by its URL.

/** The last name of a URL's path, decoded; undefined where it has none that can be a file's. */
export function nameInUrl(url: URL): string | undefined {
  const last = url.pathname.split('/').findLast((part) => part !== '');
  if (last === undefined) return undefined;
  let name: string;
  try {
    name = decodeURIComponent(last);
  } catch {
    return last; // a percent sign that is no escape stands for itself
  }
  return name.split('/').findLast((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
}
