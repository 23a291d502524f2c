// Runs beside the page, in the browser's audio thread: gathers 20 ms and hands them over.

registerProcessor("microphone", class extends AudioWorkletProcessor {
  #packet = new Int16Array(Math.round(sampleRate / 50));
  #filled = 0;

  process([channels]) {
    for (const sample of channels[0] ?? []) {
      this.#packet[this.#filled++] = Math.max(-32768, Math.min(32767, sample * 32768));
      if (this.#filled === this.#packet.length) {
        this.port.postMessage(this.#packet.slice().buffer);
        this.#filled = 0;
      }
    }
    return true;
  }
});
