// The suite: groups of cases that share a room and people. The test asks it over the global Suite.
import { Person } from './kit.js';
import { actions, checklist, packages } from './rows.js';
import { exclusions } from './exclusions.js';
import { browsers, faults, groups } from './groups.js';

const rows = [...Object.keys(actions), ...checklist, ...packages];

const outline = ({ name, cases, people = {}, lanes = [] }) => ({ name, people: Object.keys(people), lanes, cases: cases.map(([row]) => row) });
const byName = (name) => [...groups, ...faults, ...browsers].find((group) => group.name === name);

let world, people, guests;

globalThis.Suite = {
  /** { rows, groups: [{ name, cases: [row], … }], faults, browsers, exclusions } */
  describe: () => ({
    rows, exclusions, groups: groups.map(outline), faults: faults.map(outline), browsers: browsers.map(outline),
  }),

  /** Brings the people of a group together. env is { server, codes, lanes: { name: origin } }. */
  async open(name, env) {
    const group = byName(name);
    const full = { ...env, origin: (person) => env.lanes?.[person.toLowerCase()] ?? env.server };
    people = {};
    guests = [];
    // Somebody more, who leaves when the case ends.
    const stranger = (name, role) => {
      const person = new Person(full, name, role);
      guests.push(person);
      return person;
    };
    world = { env: full, stranger, enter: (name, role, config) => stranger(name, role).join(config) };
    for (const [name, { role, ...config }] of Object.entries(group.people ?? {})) {
      people[name] = await new Person(full, name[0].toUpperCase() + name.slice(1), role).join(config);
    }
    const all = Object.values(people);
    for (const one of all) await one.knows(...all.filter((other) => other !== one));
  },

  /** Runs one case; throws what is wrong, and returns what could not be shown of the row, if anything. */
  async run(name, index) {
    const { cases } = byName(name);
    for (const person of Object.values(people)) person.forget();
    try {
      return (await cases[index][1]({ ...people, ...world })) || '';
    } catch (error) {
      const what = error instanceof Error ? `${error.message} ${error.description ?? ''}` : String(error);
      throw new Error([what, Suite.digest(), error?.stack ?? ''].join('\n'));
    } finally {
      const leaving = guests.splice(0);
      await Promise.all(leaving.map((person) => person.leave().catch(() => {})));
    }
  },

  /** What became of the people lately, to read after a failure. */
  digest() {
    const states = Wire.connections.filter(({ connectionState }) => connectionState !== 'closed')
      .map((one) => `${one.connectionState}/${one.iceConnectionState}/${one.signalingState}`);
    return [...Object.values(people).map((person) => `${person.name} ${person.digest()}`), `connections: ${states.join(', ')}`].join('\n');
  },

  async close() {
    await Promise.all(Object.values(people).map((person) => person.leave().catch(() => {})));
  },
};
