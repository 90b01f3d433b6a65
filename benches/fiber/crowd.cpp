// Many fibers: spawned at once, in a tree, in a pipeline, asleep, waiting; beside hogs.
#include "harness.hpp"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <sstream>

namespace {

using Channel = boost::fibers::unbuffered_channel<std::uint64_t>;

Nanos spawn_all(std::size_t count) {
    std::vector<boost::fibers::fiber> fibers;
    fibers.reserve(count);
    const Time start = Clock::now();
    for (std::size_t index = 0; index < count; ++index) fibers.push_back(spawn([] {}));
    for (auto& fiber : fibers) fiber.join();
    return since(start);
}

void branch(std::uint64_t first, std::uint64_t leaves, Channel& above) {
    if (leaves == 1) {
        above.push(first);
        return;
    }
    Channel sums;
    std::vector<boost::fibers::fiber> fibers;
    const std::uint64_t part = leaves / 10;
    for (std::uint64_t index = 0; index < 10; ++index) {
        fibers.push_back(spawn([=, &sums] { branch(first + index * part, part, sums); }));
    }
    std::uint64_t sum = 0;
    for (int index = 0; index < 10; ++index) sum += sums.value_pop();
    for (auto& fiber : fibers) fiber.join();
    above.push(sum);
}

Nanos skynet(std::uint64_t leaves) {
    Channel sums;
    const Time start = Clock::now();
    auto root = spawn([&sums, leaves] { branch(0, leaves, sums); });
    const std::uint64_t sum = sums.value_pop();
    const Nanos elapsed = since(start);
    root.join();
    check(sum == leaves * (leaves - 1) / 2, "a wrong sum came");
    return elapsed;
}

struct Primes {
    std::vector<std::uint64_t> found;
    std::uint64_t messages = 0;

    explicit Primes(std::size_t count) {
        for (std::uint64_t candidate = 2; found.size() < count; ++candidate) {
            const auto divisor = std::find_if(found.begin(), found.end(),
                                              [=](std::uint64_t prime) { return candidate % prime == 0; });
            messages += std::uint64_t(divisor - found.begin()) + 1;
            if (divisor == found.end()) found.push_back(candidate);
        }
    }
};

Nanos sieve(const Primes& primes) {
    std::vector<std::unique_ptr<Channel>> channels;
    std::vector<boost::fibers::fiber> stages;
    const Time start = Clock::now();
    channels.push_back(std::make_unique<Channel>());
    stages.push_back(spawn([&out = *channels.back(), last = primes.found.back()] {
        for (std::uint64_t number = 2; number <= last; ++number) out.push(number);
        out.close();
    }));
    for (const std::uint64_t expected : primes.found) {
        Channel& in = *channels.back();
        const std::uint64_t prime = in.value_pop();
        check(prime == expected, "a wrong prime came");
        if (expected == primes.found.back()) break;
        channels.push_back(std::make_unique<Channel>());
        stages.push_back(spawn([&in, &out = *channels.back(), prime] {
            std::uint64_t number;
            while (in.pop(number) == boost::fibers::channel_op_status::success) {
                if (number % prime != 0) out.push(number);
            }
            out.close();
        }));
    }
    const Nanos elapsed = since(start);
    for (auto& stage : stages) stage.join();
    return elapsed;
}

double micros(Nanos time) { return double(time.count()) / 1e3; }

Answer lateness(std::vector<Nanos> late) {
    check(!late.empty(), "nobody woke up within the time");
    std::sort(late.begin(), late.end());
    auto quantile = [&](double part) {
        const double at = part * double(late.size());
        std::size_t index = std::size_t(at);
        if (double(index) == at && index > 0) --index;
        return micros(late[index]);
    };
    return {{"p50", quantile(0.5)}, {"p99", quantile(0.99)}, {"max", micros(late.back())}};
}

Answer sleepers(std::size_t count) {
    constexpr Nanos SPREAD = std::chrono::milliseconds(100);
    std::vector<Nanos> late(count);
    std::vector<boost::fibers::fiber> fibers;
    const Time first = Clock::now() + SPREAD + std::chrono::microseconds(2) * count;
    for (std::size_t index = 0; index < count; ++index) {
        const Time due = first + SPREAD * index / count;
        fibers.push_back(spawn([&late, index, due] {
            boost::this_fiber::sleep_until(due);
            late[index] = Clock::now() - due;
        }));
    }
    check(Clock::now() < first, "the first was due before all were spawned");
    for (auto& fiber : fibers) fiber.join();
    return lateness(late);
}

// Resident pages and page tables, in bytes.
double memory() {
    std::ifstream status("/proc/self/status");
    double sum = 0;
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmRSS:", 0) == 0 || line.rfind("VmPTE:", 0) == 0) {
            sum += std::stod(line.substr(line.find(':') + 1)) * 1024;
        }
    }
    return sum;
}

// Fibers that wait until a channel is closed.
struct Crowd {
    Channel gate;
    std::vector<boost::fibers::fiber> fibers;

    explicit Crowd(std::size_t count) {
        std::atomic<std::size_t> there{0};
        fibers.reserve(count);
        for (std::size_t index = 0; index < count; ++index) {
            fibers.push_back(spawn([this, &there] {
                ++there;
                std::uint64_t nothing;
                check(gate.pop(nothing) == boost::fibers::channel_op_status::closed, "nobody sends");
            }));
        }
        while (there < count) boost::this_fiber::yield();
    }

    void release() {
        gate.close();
        for (auto& fiber : fibers) fiber.join();
    }
};

Answer parked(std::size_t count) {
    const double before = memory();
    Time start = Clock::now();
    Crowd crowd(count);
    const Nanos spawned = since(start);
    const double after = memory();
    start = Clock::now();
    crowd.release();
    const Nanos woken = since(start);
    const double each = double(count);
    return {
        {"bytes", (after - before) / each},
        {"spawn", double(spawned.count()) / each},
        {"wake", double(woken.count()) / each},
    };
}

Answer idle(std::size_t count) {
    Crowd crowd(count);
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    boost::this_fiber::sleep_for(std::chrono::seconds(1));
    getrusage(RUSAGE_SELF, &after);
    crowd.release();
    auto cpu = [](const rusage& of) {
        return double(of.ru_utime.tv_sec + of.ru_stime.tv_sec) * 1e6 +
               double(of.ru_utime.tv_usec + of.ru_stime.tv_usec);
    };
    auto switches = [](const rusage& of) { return double(of.ru_nvcsw + of.ru_nivcsw); };
    return {{"cpu", cpu(after) - cpu(before)}, {"switches", switches(after) - switches(before)}};
}

// Sleeps again and again until the end; how late it is after its first tick.
void tick(Nanos period, const Time& end, boost::fibers::barrier& ticked, std::vector<Nanos>& late) {
    Time due = Clock::now() + period;
    boost::this_fiber::sleep_until(due);
    ticked.wait();
    due = Clock::now() + period;
    while (due < end) {
        boost::this_fiber::sleep_until(due);
        const Time now = Clock::now();
        late.push_back(now - due);
        while (due <= now) due += period;
    }
}

Answer beside(unsigned tickers, Nanos period, Nanos length, const std::function<void(Time)>& act) {
    boost::fibers::barrier ticked(tickers + 1);
    Time end = Time::max();
    std::vector<std::vector<Nanos>> late(tickers);
    std::vector<boost::fibers::fiber> fibers;
    for (unsigned index = 0; index < tickers; ++index) {
        fibers.push_back(spawn([&, index] { tick(period, end, ticked, late[index]); }));
    }
    // Set before the barrier lets the tickers go on.
    boost::this_fiber::sleep_for(period / 2);
    end = Clock::now() + period + length;
    ticked.wait();
    act(end);
    for (auto& fiber : fibers) fiber.join();
    std::vector<Nanos> all;
    for (const auto& some : late) all.insert(all.end(), some.begin(), some.end());
    return lateness(all);
}

Answer hogs(const Job& job) {
    const Nanos length = std::chrono::milliseconds(job.size);
    return beside(1, std::chrono::milliseconds(10), length, [&](Time end) {
        std::vector<boost::fibers::fiber> fibers;
        for (unsigned index = 0; index < 2 * job.procs; ++index) {
            fibers.push_back(spawn([end] {
                while (Clock::now() < end) {
                }
            }));
        }
        for (auto& fiber : fibers) fiber.join();
    });
}

Answer blocked(const Job& job) {
    const Nanos length = std::chrono::milliseconds(job.size);
    return beside(job.procs, std::chrono::milliseconds(1), length, [&](Time end) {
        spawn([end] { std::this_thread::sleep_until(end); }).join();
    });
}

}  // namespace

Answer crowd(const std::string& workload, const Job& job, bool& known) {
    if (workload == "spawn-100k") return once(job.size, [&] { return spawn_all(job.size); });
    if (workload == "skynet") return once(job.size, [&] { return skynet(job.size); });
    if (workload == "sieve") {
        const Primes primes(job.size);
        return once(primes.messages, [&] { return sieve(primes); });
    }
    if (workload == "sleep-10k") return sleepers(job.size);
    if (workload == "parked") return parked(job.size);
    if (workload == "idle") return idle(job.size);
    if (workload == "hogs") return hogs(job);
    if (workload == "blocked") return blocked(job);
    known = false;
    return {};
}
