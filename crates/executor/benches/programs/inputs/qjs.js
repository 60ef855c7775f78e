// Objects, closures, strings, a map and a sort.
const words = [];
let state = 12345;
for (let i = 0; i < 6000; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    words.push({ key: "w" + (state % 997), value: state % 1000, tags: [i, i + 1] });
}
const sums = new Map();
for (const { key, value, tags } of words) {
    sums.set(key, (sums.get(key) || 0) + value + tags[0]);
}
const sorted = [...sums.entries()].sort((a, b) => (b[1] - a[1]) || (a[0] < b[0] ? -1 : 1));
const fib = n => (n < 2 ? n : fib(n - 1) + fib(n - 2));
({ first: sorted.slice(0, 3), fib: fib(23), text: JSON.stringify(words).length });
