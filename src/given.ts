// Members that may be missing: an optional member is left out, never set to undefined (`exactOptionalPropertyTypes`).

/** Only the members that are there, to be spread into an object: `{ name, ...given({ hint }) }`. */
export function given<Members extends object>(members: Members): { readonly [Key in keyof Members]?: Exclude<Members[Key], undefined> } {
  const there: Partial<Members> = {};
  for (const key in members) if (members[key] !== undefined) there[key] = members[key];
  return there as { readonly [Key in keyof Members]?: Exclude<Members[Key], undefined> }; // what is undefined was left out
}
