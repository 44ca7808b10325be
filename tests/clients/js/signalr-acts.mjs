// What a stock SignalR client does in the tests, in node and in pages alike: told by a job, it returns what it saw.
// The line to the server is the runner's: `cut` drops every connection on it.

export function signalrActs(signalR, msgpack, job, cut) {
  function connection(url, { stateful = false, again = false } = {}) {
    const transport = signalR.HttpTransportType[job.transport];
    let builder = new signalR.HubConnectionBuilder()
      .withUrl(url, { transport, accessTokenFactory: () => job.token })
      .configureLogging(signalR.LogLevel.None);
    if (job.protocol === 'messagepack') builder = builder.withHubProtocol(new msgpack.MessagePackHubProtocol());
    if (stateful) builder = builder.withStatefulReconnect({ bufferSize: 100_000 });
    if (again) builder = builder.withAutomaticReconnect([0, 100, 200, 500]);
    return builder.build();
  }

  const failure = (promise) => promise.then(() => 'no error', (error) => error.message);

  function collected(stream) {
    const items = [];
    return new Promise((resolve, reject) =>
      stream.subscribe({ next: (item) => items.push(item), complete: () => resolve(items), error: reject }),
    );
  }

  /** Resolves when `met` returns true; handlers call `look` when something changed. */
  function condition(met) {
    let look;
    const done = new Promise((resolve) => (look = () => met() && resolve()));
    look();
    return { done, look };
  }

  async function everything() {
    const first = connection(job.url);
    const second = connection(job.url);
    const heard = { first: [], second: [] };
    const all = condition(() => heard.first.length >= 4 && heard.second.length >= 2);
    for (const [name, one] of [['first', first], ['second', second]]) {
      one.on('told', (text) => {
        heard[name].push(text);
        all.look();
      });
      one.on('question', (text) => `${name} says ${text}`);
      one.on('welcome', () => {});
      await one.start();
    }
    const saw = {};
    saw.user = await first.invoke('Me');
    saw.sum = await first.invoke('add', 2, 3);
    saw.nothing = typeof (await first.invoke('nothing'));
    saw.person = await first.invoke('older', { name: '愛', age: 7 });
    saw.refused = await failure(first.invoke('refuse'));
    saw.broken = await failure(first.invoke('breakDown'));
    saw.unknown = await failure(first.invoke('nope'));
    saw.counted = await collected(first.stream('count', 300));
    const numbers = new signalR.Subject();
    const total = first.invoke('total', numbers);
    for (let number = 1; number <= 40; number++) numbers.next(number);
    numbers.complete();
    saw.total = await total;
    const words = new signalR.Subject();
    const loud = collected(first.stream('louder', words));
    for (const word of ['a', 'b']) words.next(word);
    words.complete();
    saw.loud = await loud;
    saw.asked = await first.invoke('askMe', 'hello');
    await first.invoke('join', 'room');
    await second.invoke('tellGroup', 'room', 'to the group');
    await second.invoke('tellOthers', 'to others');
    await second.invoke('tellAll', 'to all');
    await second.invoke('tellUser', job.user, 'to the user');
    await all.done;
    saw.heard = heard;
    await first.stop();
    await second.stop();
    return saw;
  }

  /** A stream whose transport is cut by the line in between, again and again. */
  async function interrupted() {
    const one = connection(job.url, { stateful: job.act === 'resume', again: job.act === 'reconnect' });
    const heard = [];
    const reconnects = [];
    const ids = [];
    const enough = condition(() => heard.length >= job.count);
    one.on('welcome', (id) => ids.push(id));
    one.on('told', (number) => {
      heard.push(number);
      enough.look();
      if (job.cuts.includes(number)) cut();
    });
    one.onreconnected((id) => reconnects.push(id));
    await one.start();
    const saw = {};
    if (job.act === 'resume') {
      const sent = [];
      for (let number = 0; number < 20; number++) sent.push(one.invoke('remember', number));
      await one.send('countUp', job.count);
      await enough.done;
      for (let number = 20; number < 40; number++) sent.push(one.invoke('remember', number));
      await Promise.all(sent);
      saw.remembered = await one.invoke('remembered');
    } else {
      await one.invoke('add', 1, 1);
      const back = new Promise((resolve) => one.onreconnected(resolve));
      cut();
      await back;
      saw.sum = await one.invoke('add', 2, 2);
    }
    await one.stop();
    return { ...saw, heard, ids: ids.length, reconnects: reconnects.length };
  }

  return { everything, resume: interrupted, reconnect: interrupted };
}
