// What a download is called and how old it is, by its URL and its server.

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

/** Seconds since 1970; undefined where the server doesn't say. */
export function modifiedSeconds({ lastModified = '' }: { readonly lastModified?: string | undefined }): number | undefined {
  const time = Date.parse(lastModified);
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}
