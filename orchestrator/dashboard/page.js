// @ts-check
// The status page. It is served as it stands: no build, nothing from elsewhere. All text goes in by textContent.

/** @typedef {import('../src/run/status.ts').Status} Status */
/** @typedef {import('../src/run/status.ts').InstanceStatus} InstanceStatus */
/** @typedef {import('../src/logs/record.ts').LogRecord} LogRecord */

const shownRecords = 500;

/** @template {Element} T @param {string} selector @param {new () => T} type @param {ParentNode} [within] @returns {T} */
const find = (selector, type, within = document) => {
  const found = within.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
};

const cards = find('#instances', HTMLElement);
const template = find('#card', HTMLTemplateElement);
const connection = find('#connection', HTMLElement);
const form = find('#filter', HTMLFormElement);
const from = find('select[name=from]', HTMLSelectElement, form);
const list = find('#logs', HTMLOListElement);

/** @param {number | undefined} value */
const number = (value) =>
  value === undefined ? '–' : value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });

/** @param {number | undefined} bytes */
const size = (bytes) => (bytes === undefined ? '–' : `${number(bytes / 1024 / 1024)} MiB`);

/** @param {number | undefined} since */
const age = (since) => (since === undefined ? '–' : `${number(Math.round((Date.now() - since) / 1000))} s`);

/** @param {InstanceStatus} instance @returns {[string, string][]} */
const facts = ({ health, addresses, readySince, pid, language, needs }) => {
  const { rates, figures } = health;
  /** @type {[string, string | undefined][]} */
  const all = [
    ['requests/s', rates && number(rates.requestsPerSecond)],
    ['errors/s', rates && number(rates.errorsPerSecond)],
    ['hit ratio', rates?.hitRatio === undefined ? undefined : `${number(rates.hitRatio * 100)} %`],
    ['entries', figures?.entries === undefined ? undefined : number(figures.entries)],
    ['memory of entries', figures?.bytes === undefined ? undefined : size(figures.bytes)],
    ['ready for', readySince === undefined ? undefined : age(readySince)],
    ['language', language],
    ['needs', needs.length > 0 ? needs.join(', ') : undefined],
    ['pid', pid === undefined ? undefined : String(pid)],
    .../** @type {[string, string][]} */ (Object.entries(addresses)),
  ];
  return all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
};

/** @param {string} name */
const cardOf = (name) => {
  const known = cards.querySelector(`[data-name="${CSS.escape(name)}"]`);
  if (known instanceof HTMLElement) return known;
  const card = find('article', HTMLElement, /** @type {DocumentFragment} */ (template.content.cloneNode(true)));
  card.dataset['name'] = name;
  cards.append(card);
  from.append(new Option(name, name));
  return card;
};

/** @param {InstanceStatus} instance */
const showInstance = (instance) => {
  const card = cardOf(instance.name);
  card.className = `card ${instance.state}`;
  find('.name', HTMLElement, card).textContent = instance.name;
  find('.state', HTMLElement, card).textContent = instance.state;
  find('.job', HTMLElement, card).textContent = instance.job;
  find('.failure', HTMLElement, card).textContent = instance.failure ?? '';
  const history = instance.health.history;
  const greatest = Math.max(1, ...history);
  const points = history.map((value, i) => `${120 - history.length + i},${29 - (28 * value) / greatest}`);
  find('polyline', SVGPolylineElement, card).setAttribute('points', points.join(' '));
  find('svg', SVGSVGElement, card).setAttribute(
    'aria-label',
    `requests a second, at most ${number(greatest)} in two minutes`,
  );
  find('dl', HTMLDListElement, card).replaceChildren(
    ...facts(instance).flatMap(([name, value]) => {
      const [term, detail] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      detail.textContent = value;
      return [term, detail];
    }),
  );
};

/** @param {Status} status */
const showStatus = (status) => {
  const epoch = status.epoch === undefined ? '' : `, topology epoch ${status.epoch}`;
  find('#platform', HTMLElement).textContent = `platform “${status.name}”, driver ${status.driver}${epoch}`;
  for (const instance of status.instances) showInstance(instance);
};

/** @param {LogRecord} record */
const showRecord = (record) => {
  const { time, level, msg, service: _service, instance, ...fields } = record;
  const item = document.createElement('li');
  item.className = level;
  /** @type {[string, string][]} */
  const parts = [
    ['time', time.slice(11, 23)],
    ['from', instance],
    ['level', level],
    ['msg', msg],
    [
      'fields',
      Object.entries(fields)
        .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
        .join(' '),
    ],
  ];
  for (const [name, text] of parts) {
    const span = document.createElement(name === 'time' ? 'time' : 'span');
    span.className = name;
    span.textContent = `${text} `;
    item.append(span);
  }
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.childElementCount > shownRecords) list.firstElementChild?.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
};

const events = new EventSource('/api/events');
events.onmessage = ({ data }) => showStatus(JSON.parse(data));
events.onopen = () => {
  connection.textContent = 'live';
  connection.className = '';
};
events.onerror = () => {
  connection.textContent = 'connection lost, trying again …';
  connection.className = 'lost';
};

/** @type {EventSource | undefined} */
let logs;

const followLogs = () => {
  logs?.close();
  const values = new FormData(form);
  if (values.get('paused')) return;
  list.replaceChildren();
  const query = new URLSearchParams({ follow: 'true', tail: '200', level: String(values.get('level')) });
  for (const name of ['from', 'text']) if (values.get(name)) query.set(name, String(values.get(name)));
  logs = new EventSource(`/api/logs?${query}`);
  // After a reconnection the tail comes once more.
  logs.onopen = () => list.replaceChildren();
  logs.onmessage = ({ data }) => showRecord(JSON.parse(data));
  logs.onerror = () => {
    // Not collected here (docker compose): the page is then without logs.
    if (logs?.readyState === EventSource.CLOSED) find('#logs-section', HTMLElement).hidden = true;
  };
};
form.addEventListener('input', followLogs);
form.addEventListener('submit', (event) => event.preventDefault());
followLogs();
