// How old a server says that a file is.

// RFC 9110 5.6.7: today's form, RFC 850's, and that of asctime, which names no time zone and means the same one.
const httpDate =
  /^(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT|[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d [\d:]{8} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4})$/;

/** Seconds since 1970 by a Last-Modified header; undefined for what is no date of HTTP, which would mean something else on each machine. */
export function modifiedSeconds({ lastModified = '' }: { readonly lastModified?: string | undefined }): number | undefined {
  const time = httpDate.test(lastModified) ? Date.parse(lastModified.endsWith('GMT') ? lastModified : `${lastModified} GMT`) : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}
