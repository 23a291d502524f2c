// Sound in the browser: what plays the agent, and what hears the person.
// Must not know the protocol.

/** Plays mono 16-bit samples, packet after packet, and can forget what it has not played. */
export class Player {
  static RATE = 16000;
  /** Seconds before the first packet is heard: room for a network that is not quite even. */
  static LEAD = 0.04;

  #context = new AudioContext({ sampleRate: Player.RATE });
  #until = 0;
  #sources = new Set();

  /** Browsers start sound only after a click or a key. */
  wake() {
    return this.#context.resume();
  }

  play(data) {
    const pcm = new Int16Array(data);
    if (!pcm.length || this.#context.state !== "running") return;
    const buffer = this.#context.createBuffer(1, pcm.length, Player.RATE);
    buffer.getChannelData(0).set(Float32Array.from(pcm, (sample) => sample / 32768));
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    const now = this.#context.currentTime;
    if (this.#until < now) this.#until = now + Player.LEAD;
    source.start(this.#until);
    this.#until += buffer.duration;
    this.#sources.add(source);
    source.onended = () => this.#sources.delete(source);
  }

  clear() {
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    this.#until = 0;
  }
}

/** Hears the person: gives mono 16-bit samples at `rate`, 20 ms at a time, while it is on. */
export class Microphone {
  // Not every browser takes a microphone at another rate than its own, so ours is its own.
  #context = new AudioContext();
  #stream = null;
  #node = null;

  get rate() {
    return this.#context.sampleRate;
  }

  get isOn() {
    return this.#stream !== null;
  }

  async start(onSound) {
    await this.#context.resume();
    const wanted = { channelCount: 1, echoCancellation: true, noiseSuppression: true };
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    await this.#context.audioWorklet.addModule("microphone.js");
    this.#node = new AudioWorkletNode(this.#context, "microphone", { numberOfOutputs: 0 });
    this.#node.port.onmessage = (message) => onSound(message.data);
    this.#context.createMediaStreamSource(this.#stream).connect(this.#node);
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#node?.disconnect();
    if (this.#node) this.#node.port.onmessage = null;
    this.#stream = this.#node = null;
  }
}
