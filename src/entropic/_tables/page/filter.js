// Queries as text: the grammar and the comparisons of entropic.query, letter by letter; one table of cases tests both.
// What is no filter and no hash, an error there, is handed back as a word, which the page looks for in all texts.
const entropicQuery = (() => {
  "use strict";
  const NAME = /[^\s=<>!~]+/y, WORD = NAME, OPERATOR = /<=|>=|!=|==|=|<|>|~/y, PATTERN = /\S+/y, SPACE = /\s*/y;
  const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/sy;
  const HASH = /^[0-9a-f]{4,16}$/;
  const DAY = "\\d{4}-\\d\\d-\\d\\d", TIME = "\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d{1,6})?)?(?:Z|[+-]\\d\\d:\\d\\d)?";
  const SPACED_MOMENT = new RegExp(`${DAY} ${TIME}(?!\\S)`, "y"), MOMENT = new RegExp(`^${DAY}(?:[T ]${TIME})?$`);
  const INTEGER = /^[+-]?(0|[1-9]\d*)$/, FLOAT = /^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
  const LONGEST_INTEGER = 4300; // as Python has it
  const ESCAPES = /\\(?:(["'\\])|([ntr])|u([0-9a-fA-F]{4}))/g;
  const LETTERS = { n: "\n", t: "\t", r: "\r" };
  const TEXTS = ["created_at", "params_hash", "result_path"];
  const ORDERS = { "<": (sign) => sign < 0, "<=": (sign) => sign <= 0, ">": (sign) => sign > 0, ">=": (sign) => sign >= 0 };

  /** Why a text is no query, and at which letter, counted from 1. */
  class Refused extends Error {
    constructor(text, place, reason) {
      super(reason);
      this.position = [...text.slice(0, place)].length + 1;
    }
  }

  // ---- values: { kind, canonical, key }, of which keys of one kind have an order -------------------------------------

  const plain = (kind, canonical, key) => ({ kind, canonical, key });
  const quoted = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const textValue = (text) => plain("text", quoted(text), text);
  const NONE = plain("NoneType", "null");
  const truth = (value) => plain("bool", String(value));

  const rounded = (number) => (Math.abs(number) >= 1e21 ? number : Number(Math.abs(number) >= 1 ? number.toFixed(12) : number.toExponential(11)) || 0);

  /** A float as Python writes it. */
  function pythonText(number) {
    const size = Math.abs(number);
    if (number && (size < 1e-4 || size >= 1e16)) return number.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
    return Number.isInteger(number) ? `${number}.0` : String(number);
  }

  function floatValue(number) {
    if (Number.isNaN(number)) return plain("float", '{"$float":"nan"}');
    if (!Number.isFinite(number)) return plain("number", `{"$float":"${number > 0 ? "inf" : "-inf"}"}`, number);
    return plain("number", pythonText(rounded(number)), rounded(number));
  }

  const integerValue = (text) => plain("number", BigInt(text).toString(), Number(text));

  const WORDS = {
    true: truth(true), True: truth(true), false: truth(false), False: truth(false), null: NONE, None: NONE,
    nan: floatValue(NaN), NaN: floatValue(NaN), inf: floatValue(Infinity), "+inf": floatValue(Infinity),
    "-inf": floatValue(-Infinity), Infinity: floatValue(Infinity), "-Infinity": floatValue(-Infinity),
  };

  /** A number that a float can hold; undefined for one that would be infinite, or zero, by accident. */
  function finite(text) {
    const number = Number(text);
    if (!Number.isFinite(number) || (!number && /[1-9]/.test(text.toLowerCase().split("e")[0]))) return undefined;
    return number;
  }

  /** A value as it is typed. */
  function typed(text) {
    if (Object.hasOwn(WORDS, text)) return WORDS[text];
    if (INTEGER.test(text) && text.length <= LONGEST_INTEGER) return integerValue(text.replace("+", ""));
    if (!INTEGER.test(text) && FLOAT.test(text) && finite(text) !== undefined) return floatValue(finite(text));
    return ("[{".includes(text[0]) && jsonValue(text)) || textValue(text);
  }

  /** A list or mapping in JSON; read by hand, since to a browser 1 and 1.0 are one. Null if it is none. */
  function jsonValue(text) {
    try {
      JSON.parse(text);
    } catch {
      return null;
    }
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|[-+.\deE]+|true|false|null|[[\]{},:]/g);
    let isInRange = true;
    const read = () => {
      const token = tokens.shift();
      if (token === "[" || token === "{") {
        const items = [];
        while (!"]}".includes(tokens[0])) {
          if (tokens[0] === ",") tokens.shift();
          const name = token === "{" ? JSON.parse(tokens.shift()) : null;
          if (token === "{") tokens.shift();
          items.push([name, read()]);
        }
        tokens.shift();
        if (token === "[") return `[${items.map(([, item]) => item).join(",")}]`;
        const last = new Map(items);
        return `{${[...last.keys()].sort().map((name) => `${quoted(name)}:${last.get(name)}`).join(",")}}`;
      }
      if (token[0] === '"') return quoted(JSON.parse(token));
      if (INTEGER.test(token)) return BigInt(token).toString();
      if (/^[-\d]/.test(token)) {
        isInRange &&= finite(token) !== undefined;
        return floatValue(Number(token)).canonical;
      }
      return token;
    };
    const canonical = read();
    return isInRange ? plain(text[0] === "[" ? "list" : "dict", canonical) : null;
  }

  /** A day or a moment, taken apart; null if there is no such day. */
  function momentOf(text) {
    const [, day, clock, fraction, zone] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)?)?/.exec(text) ?? [];
    const seconds = clock === undefined ? "00:00:00" : clock.padEnd(8, ":00");
    const time = Date.parse(`${day}T${seconds}${zone ?? "Z"}`);
    if (Number.isNaN(time) || new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10) !== day) return null;
    const micro = (fraction ?? "").padEnd(6, "0");
    return { day, isDay: clock === undefined, zone: zone === "Z" ? "+00:00" : zone, local: `${day}T${seconds}`, utc: new Date(time).toISOString().slice(0, 19), micro };
  }

  /** What a text may stand for: a day or a moment stands for that as well. */
  function meaningsOf(filter) {
    if (filter.operator === "~") return [];
    if (filter.name === "created_at") return [textValue(asCreated(filter.text))];
    if (filter.value.kind !== "text" || TEXTS.includes(filter.name) || !MOMENT.test(filter.text)) return [filter.value];
    const moment = momentOf(filter.text);
    if (moment === null) return [filter.value];
    const iso = moment.local + (moment.micro === "000000" ? "" : `.${moment.micro}`);
    const at = (kind, text, key) => plain(kind, quoted2(kind, text), key);
    const naive = at("datetime", iso, `${moment.local}.${moment.micro}`);
    const aware = at("datetime with offset", iso + (moment.zone ?? "+00:00"), `${moment.utc}.${moment.micro}`);
    return [filter.value, ...(moment.isDay ? [at("date", moment.day, moment.day)] : []), ...(moment.zone ? [] : [naive]), aware];
  }

  const quoted2 = (kind, text) => `{"$${kind.split(" ")[0]}":${quoted(text)}}`;

  /** A moment as records write it: in UTC; a day is its first moment. */
  function asCreated(text) {
    const moment = MOMENT.test(text.trim()) ? momentOf(text.trim()) : null;
    if (moment === null) return text;
    return moment.isDay ? moment.day : `${moment.utc}.${moment.micro}+00:00`;
  }

  /** What a cell of the page holds. */
  function cellValue(cell, areFloats) {
    if (cell === null) return NONE;
    if (typeof cell === "boolean") return truth(cell);
    if (typeof cell === "number") return areFloats || !Number.isInteger(cell) ? floatValue(cell) : integerValue(String(cell));
    if (typeof cell === "string") return textValue(cell);
    if (cell.s !== undefined) return textValue(cell.s);
    if (cell.k !== undefined) return plain(cell.k, cell.c, orderKey(cell.k, cell.x));
    if (INTEGER.test(cell.x)) return integerValue(cell.x);
    return floatValue(cell.n ?? { inf: Infinity, "-inf": -Infinity }[cell.x] ?? NaN);
  }

  function orderKey(kind, text) {
    const moment = kind.startsWith("date") ? momentOf(text) : null;
    if (moment === null) return undefined;
    return { date: moment.day, datetime: `${moment.local}.${moment.micro}` }[kind] ?? `${moment.utc}.${moment.micro}`;
  }

  /** A filter as a test of a cell, which is there. */
  function test(filter) {
    if (filter.operator === "~") return (cell) => { const { kind, key } = cellValue(cell); return kind === "text" && filter.pattern.test(key); };
    const meanings = meaningsOf(filter);
    const isEqual = (value, asked) => value.canonical !== undefined && value.canonical === asked.canonical;
    const isUnequal = (value, asked) => value.kind === asked.kind && !isEqual(value, asked);
    const isOrdered = (value, asked) => value.kind === asked.kind && value.key !== undefined && asked.key !== undefined && ORDERS[filter.operator](value.key < asked.key ? -1 : value.key > asked.key ? 1 : value.key === asked.key ? 0 : NaN);
    const holds = filter.operator === "!=" ? isUnequal : filter.operator in ORDERS ? isOrdered : isEqual;
    return (cell, areFloats) => { const value = cellValue(cell, areFloats); return meanings.some((asked) => holds(value, asked)); };
  }

  // ---- the grammar --------------------------------------------------------------------------------------------------

  /** Filters, beginnings of hashes, and words that are neither. */
  function read(text) {
    const found = { filters: [], prefixes: [], words: [] };
    let place = 0;
    const refuse = (reason, where) => { throw new Refused(text, where, reason); };
    const taken = (pattern) => {
      pattern.lastIndex = place;
      const match = pattern.exec(text);
      if (match === null) return null;
      place = pattern.lastIndex;
      return match[0];
    };
    const inQuotes = () => {
      if (text[place] !== '"' && text[place] !== "'") return null;
      const written = taken(QUOTED) ?? refuse("a quotation mark is not closed", place);
      if (place < text.length && !/[\s=<>!~]/.test(text[place])) refuse("a space is missing after the quotation mark", place);
      return written.slice(1, -1).replace(ESCAPES, (_, sign, letter, number) => sign ?? LETTERS[letter] ?? String.fromCharCode(parseInt(number, 16)));
    };
    const json = () => {
      if (text[place] !== "[" && text[place] !== "{") return null;
      for (let at = place, opened = 0; at < text.length; ) {
        if (text[at] === '"') {
          QUOTED.lastIndex = at;
          if (QUOTED.test(text)) { at = QUOTED.lastIndex; continue; }
        }
        opened += "[{".includes(text[at]) - "]}".includes(text[at]);
        at += 1;
        if (opened) continue;
        if (at < text.length && !/\s/.test(text[at])) return null;
        const written = text.slice(place, at);
        place = at;
        return written;
      }
      return null;
    };
    const refuseSign = (where) => refuse(`${text[where]} cannot stand in a value; put the value in quotes`, where);
    const filter = (name, operator) => {
      taken(SPACE);
      const start = place;
      const written = inQuotes();
      const missing = () => refuse(`the value of ${name} is missing`, start);
      if (operator === "~") {
        const pattern = written ?? taken(PATTERN) ?? missing();
        return { name, operator, pattern: expression(pattern, () => refuse(`${pattern} is no regular expression`, start)) };
      }
      if (written !== null) return { name, operator, text: written, value: textValue(written) };
      const word = json() ?? taken(SPACED_MOMENT) ?? taken(WORD);
      if (word === null) return start < text.length ? refuseSign(start) : missing();
      if (place < text.length && !/\s/.test(text[place])) refuseSign(place);
      return { name, operator, text: word, value: TEXTS.includes(name) ? textValue(word) : typed(word) };
    };
    for (taken(SPACE); place < text.length; taken(SPACE)) {
      const start = place;
      const name = inQuotes() ?? taken(NAME) ?? refuse(`${text[place]} begins no name`, place);
      const end = place;
      taken(SPACE);
      const operator = taken(OPERATOR);
      if (operator !== null) found.filters.push(filter(name, operator));
      else if (HASH.test(text.slice(start, end))) found.prefixes.push(name);
      else found.words.push(name);
    }
    return found;
  }

  /** A regular expression of Python's as the browser's own. */
  function expression(pattern, refuse) {
    const [, flags, rest] = /^(?:\(\?([aimsu]+)\))?(.*)$/s.exec(pattern);
    try {
      return new RegExp(rest.replaceAll("(?P<", "(?<").replaceAll("\\A", "^").replaceAll("\\Z", "$"), (flags ?? "").replace(/[au]/g, ""));
    } catch {
      return refuse();
    }
  }

  /** A name as it can stand in a query. */
  const spelledName = (name) => (/^[^\s=<>!~"'][^\s=<>!~]*$/.test(name) ? name : spelledText(name));

  const spelledText = (text) => `"${text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;

  /** A text as it can stand in a query as a value. */
  const spelled = (text) => (text === spelledName(text) && typed(text).kind === "text" && !"[{".includes(text[0]) ? text : spelledText(text));

  return { read, test, spelled, spelledName, Refused };
})();
