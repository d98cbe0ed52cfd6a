// The Python module kgan._core. Images are checked and never copied. The GIL is released while a
// batch is made, so training continues meanwhile.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch.h"
#include "idx.h"
#include "levels.h"

namespace py = pybind11;
using namespace py::literals;

namespace {

using Pixels = py::array_t<std::uint8_t, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;
using HeightAndWidth = std::pair<py::ssize_t, py::ssize_t>;

constexpr std::pair<const char*, kgan::InstructionSet> kInstructionSets[] = {
    {"portable", kgan::InstructionSet::portable},
    {"avx2", kgan::InstructionSet::avx2},
    {"avx512", kgan::InstructionSet::avx512},
};

constexpr std::pair<const char*, kgan::Binarization> kBinarizations[] = {
    {"threshold", kgan::Binarization::threshold},
    {"drawn", kgan::Binarization::drawn},
};

constexpr std::pair<const char*, kgan::DType> kDTypes[] = {
    {"float32", kgan::DType::float32},
    {"float16", kgan::DType::float16},
    {"bfloat16", kgan::DType::bfloat16},
};

// The value of `name` in one of the tables above. `argument` is for the error message.
template <typename Table>
auto find(const Table& table, const std::string& name, const char* argument) {
    std::ostringstream message;
    message << argument << " must be one of";
    for (const auto& entry : table) {
        if (name == entry.first) return entry.second;
        message << " \"" << entry.first << '"';
    }
    message << ". Received: " << argument << "=\"" << name << '"';
    throw std::invalid_argument(message.str());
}

py::list instruction_sets() {
    py::list names;
    for (const kgan::InstructionSet set : kgan::instruction_sets()) {
        for (const auto& entry : kInstructionSets) {
            if (entry.second == set) names.append(entry.first);
        }
    }
    return names;
}

py::dtype output_dtype(kgan::DType dtype) {
    switch (dtype) {
        case kgan::DType::float32:
            return py::dtype("f4");
        case kgan::DType::float16:
            return py::dtype("f2");
        case kgan::DType::uint8:
            return py::dtype("u1");
        default:
            return py::dtype("u2");
    }
}

// With `stacked`, each row of indices makes one image, a channel from each index.
template <bool stacked>
py::array gather(const Pixels& images, const Indices& indices, const kgan::Levels& levels,
                 std::optional<HeightAndWidth> pad_to, const std::optional<std::string>& binarize,
                 std::uint64_t key, std::optional<HeightAndWidth> crop, bool random_crop,
                 bool random_flip, std::uint64_t window_key, const std::string& instruction_set,
                 unsigned threads) {
    constexpr py::ssize_t rank = stacked ? 2 : 1;
    if (images.ndim() != 4 || indices.ndim() != rank) {
        std::ostringstream message;
        message << "images must have rank 4 and indices rank " << rank << ". Received: ranks "
                << images.ndim() << " and " << indices.ndim();
        throw std::invalid_argument(message.str());
    }
    // A small copy of the indices. It is aligned, which the array need not be. Other Python threads
    // cannot change it, so the checked indices are those that are used.
    std::vector<std::int64_t> rows(static_cast<std::size_t>(indices.size()));
    if (!rows.empty()) std::memcpy(rows.data(), indices.data(), rows.size() * sizeof rows[0]);
    const auto extent = [&](int axis) { return static_cast<std::size_t>(images.shape(axis)); };
    const kgan::Images source{images.data(), extent(0), extent(1), extent(2), extent(3)};
    const auto [height, width] = pad_to.value_or(HeightAndWidth{images.shape(1), images.shape(2)});
    const kgan::Padding padding = kgan::padding_to(source, height, width);
    std::optional<kgan::Window> window;
    if (crop) {
        window = kgan::window_of(crop->first, crop->second);
    } else if (random_flip) {
        window = kgan::window_of(height, width);
    }
    if (window) {
        window->moves = random_crop;
        window->mirrors = random_flip;
        window->key = window_key;
    }
    const auto count = static_cast<std::size_t>(indices.shape(0));
    const auto channels =
        static_cast<std::size_t>(stacked ? indices.shape(rank - 1) : images.shape(3));
    const kgan::BatchShape shape =
        kgan::batch_shape(source, count, channels, padding, window, levels.dtype());
    const kgan::InstructionSet set =
        instruction_set == "auto" ? kgan::instruction_sets().back()
                                  : find(kInstructionSets, instruction_set, "instruction_set");
    kgan::Binarize binary{kgan::Binarization::none, key};
    if (binarize) binary.how = find(kBinarizations, *binarize, "binarize");
    py::array out(output_dtype(levels.dtype()),
                  {shape.size, shape.height, shape.width, shape.channels});
    void* values = out.mutable_data();
    {
        const py::gil_scoped_release release;
        if constexpr (stacked) {
            kgan::gather_stacked(source, rows.data(), count, channels, levels, binary, padding,
                                 window, set, threads, values);
        } else {
            kgan::gather(source, rows.data(), count, levels, binary, padding, window, set, threads,
                         values);
        }
    }
    return out;
}

kgan::IdxHeader parse_idx_header(const py::buffer& source) {
    const py::buffer_info info = source.request();
    if (info.itemsize != 1 || info.ndim != 1 || (info.size > 1 && info.strides[0] != 1)) {
        throw std::invalid_argument("expected contiguous bytes");
    }
    return kgan::parse_idx_header(static_cast<const std::uint8_t*>(info.ptr),
                                  static_cast<std::size_t>(info.size));
}

void register_idx(py::module_& m) {
    py::class_<kgan::IdxHeader>(m, "IdxHeader", "The type and shape that an IDX header declares.")
        .def_property_readonly(
            "typestr",
            [](const kgan::IdxHeader& header) {
                return (header.item_size == 1 ? '|' : '>') + std::string(1, header.kind) +
                       std::to_string(header.item_size);
            },
            "NumPy's name for the element type as stored, such as \">f4\".")
        .def_property_readonly(
            "shape",
            [](const kgan::IdxHeader& header) { return py::tuple(py::cast(header.shape)); })
        .def_readonly("offset", &kgan::IdxHeader::offset, "Bytes before the first element.")
        .def_readonly("payload_size", &kgan::IdxHeader::payload_size, "Bytes of elements.");
    m.attr("MAX_IDX_HEADER_SIZE") = kgan::kMaxIdxHeaderSize;
    m.def("parse_idx_header", &parse_idx_header, "data"_a,
          "Parses the IDX header at the start of bytes. Raises ValueError if there is none.");
    m.def("check_idx_size", &kgan::check_idx_size, "header"_a, "file_size"_a,
          "Raises ValueError unless a file of that size holds exactly the header and its payload.");
}

void register_batch(py::module_& m) {
    py::class_<kgan::Levels>(m, "Levels",
                             "The values of the 256 pixel levels: evenly spaced from the lower to "
                             "the upper end of a range, each rounded once to the dtype. With count "
                             "levels, pixel v is first quantised to v * count // 256.")
        .def(py::init([](double low, double high, const std::string& dtype, unsigned count) {
                 return kgan::Levels(low, high, find(kDTypes, dtype, "dtype"), count);
             }),
             "low"_a, "high"_a, "dtype"_a = "float32", "count"_a = kgan::kMaxLevels)
        .def_static("integers", &kgan::Levels::integers, "count"_a = kgan::kMaxLevels,
                    "The numbers of the levels, uint8 from 0 to count - 1.");
    m.attr("MIN_LEVELS") = kgan::kMinLevels;
    m.attr("MAX_LEVELS") = kgan::kMaxLevels;
    m.def("instruction_sets", &instruction_sets,
          "The instruction sets of this processor, slowest first.");
    m.attr("MAX_STACK") = kgan::kMaxStack;
    m.attr("MAX_WINDOW_CHANNELS") = kgan::kMaxWindowChannels;
    m.def("gather", &gather<false>, "images"_a.noconvert(), "indices"_a.noconvert(), "levels"_a,
          py::kw_only(), "pad_to"_a = py::none(), "binarize"_a = py::none(), "key"_a = 0,
          "crop"_a = py::none(), "random_crop"_a.noconvert() = false,
          "random_flip"_a.noconvert() = false, "window_key"_a = 0, "instruction_set"_a = "auto",
          "threads"_a = 0,
          "Gathers, binarises, pads, crops, flips and normalises images[indices] in one pass, "
          "without the GIL. binarize is None, \"threshold\" or \"drawn\"; key selects the draws. "
          "crop is the height and width of a window, in the centre or, with random_crop, at a "
          "random place. With random_flip, half of the images are mirrored. window_key selects "
          "these draws. bfloat16 is returned as uint16 bits, which the caller views as its own "
          "dtype.");
    m.def("gather_stacked", &gather<true>, "images"_a.noconvert(), "indices"_a.noconvert(),
          "levels"_a, py::kw_only(), "pad_to"_a = py::none(), "binarize"_a = py::none(),
          "key"_a = 0, "crop"_a = py::none(), "random_crop"_a.noconvert() = false,
          "random_flip"_a.noconvert() = false, "window_key"_a = 0, "instruction_set"_a = "auto",
          "threads"_a = 0,
          "The same for stacks of images of one channel: channel c of image i is "
          "images[indices[i, c]]. Each image of one channel has its own window.");
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "kgan's native data path.";
    m.attr("__version__") = KGAN_VERSION;
    register_idx(m);
    register_batch(m);
}
