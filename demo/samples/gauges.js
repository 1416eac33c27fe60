'use strict';

const gauges = new Map();

export function update(name, value) {
  const previous = gauges.get(name) ?? { value: 0, at: 0 };
  gauges.set(name, { value, at: Date.now(), delta: value - previous.value });
  document.querySelector(`#gauge-${name}`).textContent = value.toFixed(1);
}

window.addEventListener('load', async () => {
  const response = await fetch('/gauges.json');
  for (const { name, value } of await response.json()) update(name, value);
});
